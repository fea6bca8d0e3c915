"""`flask governance import-bifrost`: what moves in works at once, and a second run doubles nothing."""

import json
from contextlib import contextmanager

import pytest
from sqlalchemy import event, select, text

from governance.services.bifrost_import import BifrostImport
from governance.services.mint import Mint
from governance.services.writing import Writer
from governance.storage import revisions
from governance.storage.tables import model_limits, virtual_keys
from tests.bifrost.stores import KEY_VALUE, MADE, sha256
from tests.metering.conftest import ok

MORNING = "2026-11-23 08:00:00.5+00:00"
MIDNIGHT = "2026-11-23 00:00:00+00:00"


def read(api, limit_id):
    return ok(api.get(f"model-configs/{limit_id}"))["model_config"]


def revision(database):
    with database.read() as connection:
        return revisions.current(connection)


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


def test_usage_goes_on_in_its_window_which_ends_when_bifrosts_would(store, imported, api, clock, meter):
    rate = store.rate_limit(
        token_max_limit=100,
        token_reset_duration="6h",
        token_current_usage=40,
        token_last_reset=MORNING,
        request_max_limit=9,
        request_reset_duration="1d",
        request_current_usage=7,
        request_last_reset="2026-11-23 07:00:00Z",
    )
    limit = store.limit(rate_limit_id=rate)
    store.budget(limit, last_reset=MORNING, current_usage=3.25)
    assert imported().said["with_usage"] == 3
    found = read(api, limit)
    assert found["budget"]["current_usage"] == 3.25
    assert found["budget"]["last_reset"] == "2026-11-23T08:00:00.500000Z"
    assert found["budget"]["resets_at"] == "2026-11-24T08:00:00.500000Z"
    assert (found["rate_limit"]["token_current_usage"], found["rate_limit"]["request_current_usage"]) == (40, 7)
    assert found["rate_limit"]["token_resets_at"] == "2026-11-23T14:00:00.500000Z"
    assert found["rate_limit"]["request_resets_at"] == "2026-11-24T07:00:00Z"
    assert api.get("model-configs").data == api.get("model-configs?from_memory=true").data
    meter.reported(cost=1, tokens=2)
    assert meter.stands({"id": limit}) == {"cost": (4.25, 0), "tokens": (42, 0), "requests": (8, 0)}
    assert meter.proven() == 3
    clock.set("2026-11-24T08:00:00.500000Z")
    assert read(api, limit)["budget"]["current_usage"] == 0


def test_a_window_that_has_ended_brings_no_usage_and_the_next_ones_follow_it(store, imported, api, meter):
    limit = store.limit()
    budget = store.budget(limit, last_reset="2026-11-20 10:00:00Z", current_usage=9)
    assert imported().remarks(budget) == ["Its window has ended: it starts at 0."]
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["last_reset"]) == (0, "2026-11-23T10:00:00Z")
    assert meter.proven() == 0


def test_the_window_of_a_budget_that_was_never_reset_begins_with_it(store, imported, api):
    limit = store.limit()
    store.budget(limit, last_reset="0001-01-01 00:00:00+00:00", current_usage=9, created_at="2026-11-22 15:00:00Z")
    imported()
    assert (read(api, limit)["budget"]["current_usage"], read(api, limit)["budget"]["last_reset"]) == (
        0,
        "2026-11-22T15:00:00Z",
    )


@pytest.mark.parametrize(("last_reset", "used"), [(MIDNIGHT, 5), (MORNING, 5), ("2026-11-22 23:59:59Z", 0)])
def test_a_calendar_aligned_window_follows_the_calendar(store, imported, api, last_reset, used):
    limit = store.limit(calendar_aligned=1)
    store.budget(limit, last_reset=last_reset, current_usage=5)
    imported()
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["last_reset"]) == (used, "2026-11-23T00:00:00Z")


def test_alignment_of_windows_that_cannot_be_aligned_is_dropped(store, imported, api):
    limit = store.limit(calendar_aligned=1)
    store.budget(limit, reset_duration="1h")
    imported()
    assert read(api, limit)["calendar_aligned"] is False


def test_several_calendar_periods_count_whole_here_and_the_report_says_so(store, imported, api):
    limit = store.limit(calendar_aligned=1)
    budget = store.budget(limit, reset_duration="3M", last_reset="2026-11-01 00:00:00Z", current_usage=5)
    assert "several periods" in imported().remarks(budget)[0]
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["resets_at"]) == (5, "2027-01-01T00:00:00Z")


def test_a_window_that_begins_in_the_future_begins_now(store, imported, api):
    limit = store.limit()
    budget = store.budget(limit, last_reset="2026-12-23 00:00:00Z", current_usage=5)
    assert imported().remarks(budget) == ["Its window begins in the future: here it begins now."]
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["last_reset"]) == (5, "2026-11-23T12:00:00Z")


def test_a_second_run_keeps_all_and_stores_nothing(store, imported, meter, database):
    key = store.key()
    limit = store.limit(scope="virtual_key", scope_id=key)
    store.budget(limit, last_reset=MORNING, current_usage=2)
    imported()
    meter.reported(virtual_key_id=key, cost=1)
    before, stood = revision(database), meter.dump()
    report = imported()
    assert {row["outcome"] for row in report.rows.values()} == {"kept"}
    assert report.said["changes"] is False
    assert (revision(database), meter.dump()) == (before, stood)


def test_what_was_changed_here_stays_as_it_is(store, imported, api):
    limit = store.limit()
    store.budget(limit, max_limit=10)
    imported()
    api.put(f"model-configs/{limit}", {"budgets": [{"max_limit": 99, "reset_duration": "1h"}]})
    imported()
    assert [each["max_limit"] for each in read(api, limit)["budgets"]] == [99]


def test_a_limit_on_the_same_thing_with_another_id_is_kept(store, imported, api):
    mine = api.create("gpt-4o", provider="OpenAI", budget={"max_limit": 1, "reset_duration": "1d"})
    limit = store.limit("openai/GPT-4o", provider="openai")
    budget = store.budget(limit)
    report = imported()
    assert [report.outcome(limit), report.outcome(budget)] == ["kept", "kept"]
    assert [each["id"] for each in api.list()["model_configs"]] == [mine["id"]]


def test_a_limit_that_was_deleted_here_comes_again(store, imported, api):
    limit = store.limit()
    imported()
    api.delete(f"model-configs/{limit}")
    assert imported().outcome(limit) == "taken"
    assert read(api, limit)["id"] == limit


def test_a_virtual_key_like_another_that_is_here_is_left_out_with_its_limits(store, imported, api):
    ok(api.post("virtual-keys", {"id": "mine", "name": "platform", "value": KEY_VALUE}))
    named, valued = store.key(name="platform"), store.key(value=KEY_VALUE)
    limit = store.limit(scope="virtual_key", scope_id=named)
    budget = store.budget(limit)
    report = imported()
    assert report.reason(named) == "Another virtual key, 'mine', has the same name."
    assert report.reason(valued) == "Another virtual key, 'mine', has the same value."
    assert report.reason(limit) == f"Its virtual key '{named}' is not here."
    assert report.reason(budget) == "Its model limit was left out."


def test_a_limit_of_a_key_that_is_only_here_moves_in(store, imported, api):
    ok(api.post("virtual-keys", {"id": "vk-mine", "name": "mine"}))
    limit = store.limit(scope="virtual_key", scope_id="vk-mine")
    assert imported().outcome(limit) == "taken"


def test_an_id_that_another_rule_has_is_replaced(store, imported, api):
    limit = store.limit()
    store.budget(limit, id="default")
    imported()
    other = store.limit("gpt-5", rate_limit_id="default")
    store.rate_limit(id="default", request_max_limit=5, request_reset_duration="1m")
    assert imported().said["counts"]["model_config"]["taken"] == 1
    found = read(api, other)["rate_limit"]
    assert found["request_max_limit"] == 5
    assert found["id"] != "default"


def test_a_dry_run_says_the_same_stores_nothing_and_exits_with_2(store, run, imported, database):
    store.budget(store.limit(), last_reset=MORNING, current_usage=2)
    before = revision(database)
    result = run("--dry-run", "--json")
    assert (result.exit_code, revision(database)) == (2, before)
    dry = json.loads(result.stdout)
    assert dry == imported().said | {"dry_run": True}
    assert run("--dry-run").exit_code == 0


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
    """Every statement that the service's database was asked to run."""
    asked = []

    def note(_, __, statement, *___):
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


def test_a_hundred_limits_take_as_many_statements_as_two(store, imported, statements):
    asked = []
    for count in (1, 2, 100):  # the first of them also fills the memory
        for _ in range(count):
            key = store.key()
            limit = store.limit(scope="virtual_key", scope_id=key)
            store.budget(limit, last_reset=MORNING, current_usage=1)
        statements.clear()
        assert imported().said["with_usage"] == count
        asked.append(len(statements))
    assert asked[1] == asked[2]


class Meanwhile:
    """A database on which something else happens as soon as it was read."""

    def __init__(self, database, act):
        self._database, self._act = database, act

    @contextmanager
    def read(self):
        with self._database.read() as connection:
            yield connection
        self._act()


def test_what_is_stored_between_the_look_and_the_write_is_kept(store, path, api, governance, clock):
    store.limit("gpt-4o")
    meanwhile = Meanwhile(governance.database, lambda: api.create("gpt-4o"))
    writer = Writer(governance.database, governance.cache, clock)
    importing = BifrostImport(meanwhile, writer, clock, Mint(), 0.3)
    assert [row.outcome for row in importing.run(path, dry_run=False).told] == ["kept"]
    assert api.list()["total_count"] == 1


def test_imported_usage_can_be_reset_and_verified(store, imported, api, meter):
    limit = store.limit()
    store.budget(limit, last_reset=MORNING, current_usage=2)
    imported()
    meter.reported(cost=1)
    ok(api.put(f"model-configs/{limit}", {"reset_usage": True}))
    meter.reported(cost=0.5)
    assert meter.stands({"id": limit}) == {"cost": (0.5, 0)}
    assert meter.proven() == 1


def test_times_and_hashes_of_another_form_do_no_harm(store, imported, api):
    limit = store.limit(created_at="yesterday", config_hash="")
    store.budget(limit, last_reset=MADE)
    imported()
    assert (read(api, limit)["created_at"], read(api, limit)["config_hash"]) == ("2026-11-23T12:00:00Z", None)
