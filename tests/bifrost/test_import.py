"""`flask governance import-bifrost`: imported rows work at once, and all rows are imported or none."""

import pytest
from sqlalchemy import event, select, text

from governance.storage.tables import model_limits, virtual_keys
from tests.bifrost.conftest import read
from tests.bifrost.stores import KEY_VALUE, MADE, sha256
from tests.metering.conftest import ok

MORNING = "2026-11-23 08:00:00.5+00:00"


def test_a_limit_moves_in_with_its_budgets_its_rate_limit_and_their_ids(store, imported, api):
    rate = store.rate_limit(
        token_max_limit=5000, token_reset_duration="1h", request_max_limit=15, request_reset_duration="1m"
    )
    limit = store.limit("gpt-4o", provider="openai", rate_limit_id=rate)
    month = store.budget(limit, max_limit=300.5, reset_duration="1M")
    day = store.budget(limit, max_limit=0.15, reset_duration="1d")
    report = imported()
    found = read(api, limit)
    assert (found["model_name"], found["provider"], found["scope"], found["created_at"]) == (
        "gpt-4o",
        "openai",
        "global",
        "2026-11-01T08:00:00Z",
    )
    assert [(each["id"], each["max_limit"], each["reset_duration"]) for each in found["budgets"]] == [
        (day, 0.15, "1d"),
        (month, 300.5, "1M"),
    ]
    assert found["rate_limit"]["id"] == rate
    assert (found["rate_limit"]["token_max_limit"], found["rate_limit"]["request_max_limit"]) == (5000, 15)
    assert report.counts == {
        "virtual_key": [0, 0, 0, 0],
        "model_config": [1, 1, 0, 0],
        "budget": [2, 2, 0, 0],
        "rate_limit": [1, 1, 0, 0],
        "price": [0, 0, 0, 0],
    }


@pytest.mark.parametrize(
    "kept",
    [
        {"value": KEY_VALUE, "value_hash": sha256(KEY_VALUE)},
        {"value": KEY_VALUE, "encryption_status": None},
        {"value": "9f3ac0…", "encryption_status": "encrypted", "value_hash": sha256(KEY_VALUE).upper()},
        {"value": "env.PLATFORM_KEY", "value_hash": sha256(KEY_VALUE)},
    ],
    ids=["plain", "plain without hash", "encrypted", "a reference"],
)
def test_the_value_of_a_virtual_key_still_works_and_its_limits_hold(store, imported, meter, kept):
    key = store.key(**kept)
    limit = store.limit("*", scope="virtual_key", scope_id=key)
    store.budget(limit, max_limit=1, last_reset=MORNING, current_usage=0.75)
    imported()
    assert meter.denied(virtual_key=KEY_VALUE, cost=0.5)["type"] == "budget_exceeded"
    assert meter.reserved(virtual_key=KEY_VALUE, cost=0.25)["reservation"]["virtual_key_id"] == key
    assert meter.proven() == 1


def test_a_virtual_key_keeps_its_name_description_state_and_times(store, imported, api, meter):
    key = store.key(name="Team Ä", description="for  tests", is_active=0, calendar_aligned=1, value=KEY_VALUE)
    assert imported().remarks(key) == ["Its description was shortened, or lost control characters."]
    found = ok(api.get(f"virtual-keys/{key}"))["virtual_key"]
    assert found == {
        "id": key,
        "name": "Team Ä",
        "description": "for tests",
        "value_prefix": KEY_VALUE[: len(KEY_VALUE) // 4],
        "is_active": False,
        "calendar_aligned": True,
        "expires_at": None,
        "created_at": "2026-11-01T08:00:00Z",
        "updated_at": "2026-11-01T08:00:00Z",
    }
    assert meter.reserve(virtual_key=KEY_VALUE).get_json()["error"]["code"] == "virtual_key_inactive"


def test_a_value_is_nowhere_in_the_report_nor_in_the_database(store, run, settings):
    store.key(value=KEY_VALUE)
    store.key(value="sealed-" + KEY_VALUE, encryption_status="encrypted")
    store.key(name="x" * 300, value="long-" + KEY_VALUE)
    assert KEY_VALUE not in run("--json").output + run().output
    assert KEY_VALUE.encode() not in b"".join(file.read_bytes() for file in settings.instance_path.glob("*.db*"))


def test_imported_rows_come_from_no_file_and_bring_bifrosts_hash(store, imported, database):
    whole, broken = store.limit(config_hash="a" * 64), store.limit("gpt-5", config_hash="b" * 64)
    store.budget(broken, max_limit=-1)
    store.key()
    imported()
    with database.read() as connection:
        columns = model_limits.c.id, model_limits.c.source, model_limits.c.config_hash
        rows = [tuple(row) for row in connection.execute(select(*columns).order_by(model_limits.c.id))]
        assert rows == [(whole, "", "a" * 64), (broken, "", None)]
        assert connection.execute(select(virtual_keys.c.source)).scalar_one() == ""


def test_all_of_it_is_stored_or_nothing(store, run, api, database):
    store.key()
    store.budget(store.limit(), last_reset=MORNING, current_usage=2)
    with database.write() as connection:
        fail = "CREATE TRIGGER fail BEFORE INSERT ON counters BEGIN SELECT RAISE(ABORT, 'full'); END"
        connection.execute(text(fail))
    result = run()
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert (api.list()["total_count"], ok(api.get("virtual-keys"))["total_count"]) == (0, 0)


def test_the_audit_says_that_the_command_made_them(store, imported, api):
    key = store.key(value=KEY_VALUE)
    limit = store.limit("*", scope="virtual_key", scope_id=key)
    store.budget(limit, last_reset=MORNING, current_usage=2)
    imported()
    imported()
    entries = ok(api.get("audit"))["audit"]
    assert sorted((entry["entity"], entry["entity_id"], entry["action"], entry["actor"]) for entry in entries) == [
        ("model_config", limit, "create", "command:import-bifrost"),
        ("virtual_key", key, "create", "command:import-bifrost"),
    ]
    assert KEY_VALUE not in api.get("audit").text


@pytest.fixture
def statements(database):
    """Return the list of every statement that the service's database got."""
    asked = []

    def note(_, __, statement, *___):
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


def test_a_hundred_limits_take_as_many_statements_as_two(store, imported, statements):
    asked = []
    for count in (1, 2, 100):  # the first import also loads the snapshot
        for _ in range(count):
            key = store.key()
            limit = store.limit(scope="virtual_key", scope_id=key)
            store.budget(limit, last_reset=MORNING, current_usage=1)
        statements.clear()
        assert imported().said["with_usage"] == count
        asked.append(len(statements))
    assert asked[1] == asked[2]


def test_times_and_hashes_of_another_form_do_no_harm(store, imported, api):
    limit = store.limit(created_at="yesterday", config_hash="")
    store.budget(limit, last_reset=MADE)
    imported()
    assert (read(api, limit)["created_at"], read(api, limit)["config_hash"]) == ("2026-11-23T12:00:00Z", None)
