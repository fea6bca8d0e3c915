"""What management writes leave in the audit."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from app import create_app
from governance.domain.errors import NotReady
from governance.domain.limits import Metric
from governance.settings import Settings
from governance.startup import prepare
from governance.storage.tables import audit
from tests.api.trail import DAY, KEYS, MINUTE, changes, entries, key, newest, ok, virtual_key
from tests.conftest import governance_of

MONTH = {"max_limit": 500.25, "reset_duration": "1M"}
HOUR = {"token_max_limit": 1000, "token_reset_duration": "1h"}


def text(database):
    """All that the audit's table holds, as one text."""
    with database.read() as connection:
        return repr(connection.execute(select(audit)).all())


def test_an_entry_says_who_what_and_when(api, clock):
    limit = api.create(budget=DAY)
    clock.advance(60.5)
    ok(api.put(f"model-configs/{limit['id']}", {"budget": DAY | {"max_limit": 50}}))
    assert newest(api) == {
        "seq": 2,
        "at": "2026-11-23T12:01:00.500000Z",
        "actor": "key:settings",
        "entity": "model_config",
        "entity_id": limit["id"],
        "action": "update",
        "changes": [{"field": "budgets[1d].max_limit", "old": 20, "new": 50}],
    }


def test_a_created_limit_is_recorded_with_all_that_it_was_created_with(api):
    key_id = virtual_key(api)["id"]
    limit = api.create(
        provider="openai",
        scope="virtual_key",
        scope_id=key_id,
        timezone="Europe/Berlin",
        calendar_aligned=True,
        budgets=[MONTH, DAY],
        rate_limits=[MINUTE | HOUR],
    )
    entry = newest(api)
    assert (entry["action"], entry["entity_id"]) == ("create", limit["id"])
    assert changes(entry) == {
        "model_name": (None, "gpt-4o"),
        "provider": (None, "openai"),
        "scope": (None, "virtual_key"),
        "scope_id": (None, key_id),
        "calendar_aligned": (None, True),
        "timezone": (None, "Europe/Berlin"),
        "budgets[*].id": (None, [budget["id"] for budget in limit["budgets"]]),
        "rate_limits[*].id": (None, [limit["rate_limit"]["id"]]),
        "budgets[1d].max_limit": (None, 20),
        "budgets[1M].max_limit": (None, 500.25),
        "rate_limits[1h].token_max_limit": (None, 1000),
        "rate_limits[1m].request_max_limit": (None, 15),
    }


def test_money_is_written_exactly(api):
    api.create(budget={"max_limit": 0.000000001, "reset_duration": "1d"})
    assert '{"field":"budgets[1d].max_limit","old":null,"new":0.000000001}' in api.get("audit").text
    api.create("o3", budget={"max_limit": 1_000_000_000, "reset_duration": "1d"})
    assert '"new":1000000000}' in api.get("audit?limit=1").text


def test_a_deleted_limit_is_recorded_with_what_was_there_and_what_was_used(api, count):
    limit = api.create(budgets=[DAY], rate_limit=MINUTE)
    count(limit["budget"]["id"], Metric.COST, used=12_500_000_000)
    ok(api.delete(f"model-configs/{limit['id']}"))
    entry = newest(api)
    assert entry["action"] == "delete"
    assert changes(entry) == {
        "model_name": ("gpt-4o", None),
        "scope": ("global", None),
        "calendar_aligned": (False, None),
        "timezone": ("UTC", None),
        "budgets[*].id": ([limit["budget"]["id"]], None),
        "rate_limits[*].id": ([limit["rate_limit"]["id"]], None),
        "budgets[1d].max_limit": (20, None),
        "budgets[1d].current_usage": (12.5, None),
        "rate_limits[1m].request_max_limit": (15, None),
    }


def test_a_reset_is_recorded_with_the_usage_that_it_took_away(api, count):
    limit = api.create(budget=DAY, rate_limit=MINUTE | HOUR)
    count(limit["budget"]["id"], Metric.COST, used=12_000_150_000, reserved=5)
    count(limit["rate_limit"]["id"], Metric.TOKENS, used=7)
    ok(api.put(f"model-configs/{limit['id']}", {"reset_usage": True}))
    entry = newest(api)
    assert entry["action"] == "update"
    assert changes(entry) == {
        "budgets[1d].current_usage": (12.00015, 0),
        "rate_limits[1h].token_current_usage": (7, 0),
    }


def test_a_reset_of_what_nobody_used_or_of_a_closed_window_records_nothing(api, count, clock):
    limit = api.create(budget=DAY)
    count(limit["budget"]["id"], Metric.COST, used=5)
    clock.advance(24 * 3600)
    ok(api.put(f"model-configs/{limit['id']}", {"reset_usage": True}))
    assert newest(api)["action"] == "create"


def test_an_edit_and_a_reset_at_once_are_one_entry(api, count):
    limit = api.create(budget=DAY)
    count(limit["budget"]["id"], Metric.COST, used=10**9)
    ok(api.put(f"model-configs/{limit['id']}", {"budget": DAY | {"max_limit": 1}, "reset_usage": True}))
    assert changes(newest(api)) == {"budgets[1d].max_limit": (20, 1), "budgets[1d].current_usage": (1, 0)}


def test_a_changed_window_shows_what_stood_under_the_old_one_and_stands_under_the_new_one(api, count):
    limit = api.create(budget=DAY)
    count(limit["budget"]["id"], Metric.COST, used=10**9)
    weekly = {"id": limit["budget"]["id"], "max_limit": 20, "reset_duration": "1w"}
    ok(api.put(f"model-configs/{limit['id']}", {"budgets": [weekly]}))
    assert changes(newest(api)) == {
        "budgets[1d].max_limit": (20, None),
        "budgets[1d].current_usage": (1, None),
        "budgets[1w].max_limit": (None, 20),
        "budgets[1w].current_usage": (None, 1),
    }


def test_rate_limits_that_are_only_put_together_otherwise_show_it_by_their_ids(api):
    limit = api.create(rate_limit=MINUTE | HOUR)
    after = ok(api.put(f"model-configs/{limit['id']}", {"rate_limits": [MINUTE, HOUR]}))["model_config"]
    ids = [rate["id"] for rate in after["rate_limits"]]
    assert changes(newest(api)) == {"rate_limits[*].id": ([limit["rate_limit"]["id"]], ids)}


def test_metering_leaves_nothing_in_the_audit(api):
    api.create(budget=DAY)
    held = ok(api.post("reservations", {"model": "gpt-4o", "cost": 1}))["reservation"]["id"]
    ok(api.post(f"reservations/{held}/settle", {"cost": 0.5}))
    ok(api.post("usage", {"model": "gpt-4o", "cost": 1}))
    assert len(entries(api)) == 1


def test_virtual_keys_are_recorded(api):
    made = virtual_key(api, id="vk-1", description="for all", expires_at="2027-01-01T00:00:00Z")
    ok(api.put("virtual-keys/vk-1", {"name": "other", "expires_at": None, "is_active": False}))
    ok(api.delete("virtual-keys/vk-1"))
    deleted, updated, created = entries(api)
    assert [entry["action"] for entry in (created, updated, deleted)] == ["create", "update", "delete"]
    assert {entry["entity"] for entry in (created, updated, deleted)} == {"virtual_key"}
    assert {entry["entity_id"] for entry in (created, updated, deleted)} == {"vk-1"}
    assert changes(created) == {
        "name": (None, "team"),
        "description": (None, "for all"),
        "value_prefix": (None, made["value_prefix"]),
        "is_active": (None, True),
        "calendar_aligned": (None, False),
        "expires_at": (None, "2027-01-01T00:00:00Z"),
        "value": (None, "hidden"),
    }
    assert changes(updated) == {
        "name": ("team", "other"),
        "is_active": (True, False),
        "expires_at": ("2027-01-01T00:00:00Z", None),
    }
    assert changes(deleted)["name"] == ("other", None)


def test_limits_that_go_with_their_virtual_key_are_recorded_in_the_same_write(api):
    key_id = virtual_key(api)["id"]
    bound = {api.create(model, scope="virtual_key", scope_id=key_id)["id"] for model in ("a", "b")}
    ok(api.delete(f"virtual-keys/{key_id}"))
    gone = entries(api, "action=delete")
    assert {(entry["entity"], entry["entity_id"]) for entry in gone} == {
        ("virtual_key", key_id),
        *(("model_config", limit_id) for limit_id in bound),
    }


def test_users_are_recorded_and_limits_that_stay_are_not(api):
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    api.create(scope="user", scope_id="u")
    ok(api.put("users/u", {"name": "Grace"}))
    ok(api.delete("users/u"))
    found = [changes(entry) for entry in entries(api, "entity=user")]
    assert found == [{"name": ("Grace", None)}, {"name": ("Ada", "Grace")}, {"name": (None, "Ada")}]
    assert [entry["action"] for entry in entries(api, "entity=model_config")] == ["create"]


def test_api_keys_are_recorded(api):
    made = key(api, "read", "meter", expires_at="2027-01-01T00:00:00Z")
    ok(api.delete(f"{KEYS}/{made['id']}"))
    deleted, created = entries(api)
    told = {
        "name": "a key",
        "key_prefix": made["key_prefix"],
        "scopes": ["read", "meter"],
        "expires_at": "2027-01-01T00:00:00Z",
    }
    assert (created["entity"], created["entity_id"]) == ("api_key", made["id"])
    assert changes(created) == {name: (None, value) for name, value in told.items()}
    assert changes(deleted) == {name: (value, None) for name, value in told.items()}


@pytest.fixture
def unset(tmp_path, clock):
    """An app without GOVERNANCE_ADMIN_KEY on a file that is not there yet, and its folder."""
    folder = tmp_path / "new"
    app = create_app(Settings(instance=str(folder), admin_key=None, busy_timeout=0.3), clock=clock)
    yield app, folder
    governance_of(app).close()


def test_the_first_admin_key_is_recorded_as_minted_by_the_service(unset, api):
    app, folder = unset
    prepare(app)
    secret = (folder / "admin.key").read_text().strip()
    (entry,) = entries(type(api)(app.test_client(), secret))
    assert (entry["actor"], entry["action"], entry["entity"]) == ("service", "create", "api_key")
    assert changes(entry) == {
        "name": (None, "first admin key"),
        "key_prefix": (None, secret[:11]),
        "scopes": (None, ["admin"]),
    }


def test_a_first_admin_key_that_cannot_be_handed_over_leaves_no_entry(unset):
    app, folder = unset
    (folder / "admin.key").mkdir(parents=True)
    with pytest.raises(NotReady):
        prepare(app)
    assert text(governance_of(app).database) == "[]"


@pytest.mark.parametrize(
    "edit",
    [
        lambda limit: {},
        lambda limit: limit,
        lambda limit: {"budget": DAY, "model_name": "GPT-4o ", "reset_usage": False},
        lambda limit: {"timezone": "UTC", "calendar_aligned": False},
    ],
    ids=["nothing", "what was read", "the same again", "the same settings"],
)
def test_an_edit_that_changes_nothing_records_nothing(api, edit):
    limit = api.create(budget=DAY)
    virtual_key(api, id="vk")
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    before = entries(api)
    ok(api.put(f"model-configs/{limit['id']}", edit(limit)))
    ok(api.put("virtual-keys/vk", {"name": "team"}))
    ok(api.put("users/u", {"name": "Ada"}))
    assert entries(api) == before


REFUSED = [
    ("POST", "model-configs", {"model_name": "x", "budget": {"max_limit": 0}}, 400),
    ("POST", "model-configs", {"model_name": "x", "scope": "virtual_key", "scope_id": "none"}, 400),
    ("POST", "model-configs", {"model_name": "GPT-4O"}, 409),
    ("PUT", "model-configs/none", {"reset_usage": True}, 404),
    ("PUT", "model-configs/{limit}", {"model_name": "other", "reset_usage": True}, 400),
    (
        "PUT",
        "model-configs/{limit}",
        {"calendar_aligned": True, "budget": DAY | {"reset_duration": "1h"}},
        400,
    ),
    ("DELETE", "model-configs/none", None, 404),
    ("POST", "virtual-keys", {"name": "team"}, 409),
    ("POST", "virtual-keys", {"name": "late", "expires_at": "2020-01-01T00:00:00Z"}, 400),
    ("PUT", "virtual-keys/other", {"name": "team", "is_active": False}, 409),
    ("DELETE", "virtual-keys/none", None, 404),
    ("POST", "users", {"id": "u", "name": "again"}, 409),
    ("DELETE", "users/none", None, 404),
    ("POST", KEYS, {"name": "late", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, 400),
    ("DELETE", f"{KEYS}/none", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_a_refused_write_leaves_no_entry(api, method, path, body, status):
    limit = api.create(budget=DAY)
    virtual_key(api)
    virtual_key(api, id="other", name="other")
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    before = entries(api)
    response = api.request(method, path.replace("{limit}", limit["id"]), json=body)
    assert response.status_code == status
    assert entries(api) == before


def test_a_stale_version_or_too_small_a_key_leaves_no_entry(api):
    limit = api.create(budget=DAY)
    reader = api.with_key(key(api, "read")["key"])
    before = entries(api)
    assert api.delete(f"model-configs/{limit['id']}", headers={"If-Match": '"9.x"'}).status_code == 412
    assert reader.delete(f"model-configs/{limit['id']}").status_code == 403
    assert entries(api) == before


def test_a_change_that_cannot_be_recorded_is_not_made(api, database):
    limit = api.create(budget=DAY)
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO lost")
    for refused in (
        api.put(f"model-configs/{limit['id']}", {"budget": DAY | {"max_limit": 7}}),
        api.post("virtual-keys", {"name": "team"}),
        api.delete(f"model-configs/{limit['id']}"),
    ):
        assert refused.get_json()["error"]["code"] == "database_unavailable"
    assert ok(api.get(f"model-configs/{limit['id']}"))["model_config"] == limit
    assert ok(api.get("virtual-keys"))["total_count"] == 0


def test_every_write_is_recorded_under_the_key_that_made_it(api):
    admin = key(api, "admin")
    writer = key(api, "write")
    mine, his = api.with_key(admin["key"]), api.with_key(writer["key"])
    of_admin = key(mine, "read")["id"]
    ok(mine.delete(f"{KEYS}/{of_admin}"))
    limit = his.create(budget=DAY)["id"]
    ok(his.put(f"model-configs/{limit}", {"budget": DAY | {"max_limit": 7}}))
    ok(his.delete(f"model-configs/{limit}"))
    for path in ("virtual-keys", "users"):
        ok(his.post(path, {"id": "x", "name": "one"}))
        ok(his.put(f"{path}/x", {"name": "two"}))
        ok(his.delete(f"{path}/x"))
    assert [entry["actor"] for entry in entries(api)] == [
        *[f"key:{writer['id']}"] * 9,
        *[f"key:{admin['id']}"] * 2,
        *["key:settings"] * 2,
    ]


def test_a_thread_that_serves_one_key_after_another_never_mistakes_them(api, governance):
    keys = [key(api, "write") for _ in range(3)]

    def work():
        for turn in range(9):
            caller = api.with_key(keys[turn % 3]["key"])
            ok(caller.post("users", {"id": f"u{turn}", "name": "Ada"}))
            assert caller.post("users", {"id": f"u{turn}", "name": "Ada"}).status_code == 409
            governance.users.create({"id": f"s{turn}", "name": "nobody asked"})

    with ThreadPoolExecutor(1) as thread:
        thread.submit(work).result()
    for turn in range(9):
        (mine,) = entries(api, f"entity_id=u{turn}")
        (none,) = entries(api, f"entity_id=s{turn}")
        assert (mine["actor"], none["actor"]) == (f"key:{keys[turn % 3]['id']}", "service")


def test_no_secret_is_ever_in_the_audit(api, app, database, unset):
    given = "sk-the-gateways-own-value-0123456789-0123456789"
    first = governance_of(unset[0])
    prepare(unset[0])
    minted = [api.post("virtual-keys", {"name": f"k{turn}"}).get_json()["virtual_key"] for turn in range(5)]
    virtual_key(api, value=given)
    virtual_key(api, name="short", value="s3cret")
    made = [key(api, scope) for scope in ("read", "write", "meter", "admin")]
    for each in minted:
        ok(api.put(f"virtual-keys/{each['id']}", {"description": "edited"}))
        ok(api.delete(f"virtual-keys/{each['id']}"))
    for each in made:
        ok(api.delete(f"{KEYS}/{each['id']}"))
    secrets = [each["value"] for each in minted] + [each["key"] for each in made]
    secrets += [given, api.key, (unset[1] / "admin.key").read_text().strip()]
    printed = app.test_cli_runner().invoke(args=["governance", "audit", "--limit", "1000"]).output
    told = "".join([text(database), text(first.database), api.get("audit?limit=100").text, printed])
    assert "s3cret" not in told
    for secret in secrets:
        assert secret[:13] not in told, "more than the prefix that answers show"
        assert secret[13:] not in told
        assert hashlib.sha256(secret.encode()).hexdigest() not in told


def test_another_value_of_a_virtual_key_is_recorded_without_telling_either(api, governance, database):
    virtual_key(api, id="vk", value="sk-one-value-that-begins-like-the-other-1")
    writer = governance.virtual_keys._writer
    with writer.write() as write:
        write.connection.exec_driver_sql("UPDATE virtual_keys SET digest = 'another', revision = ?", (write.revision,))
    assert changes(newest(api)) == {"value": ("hidden", "hidden")}


def test_a_new_kind_of_write_need_not_remember_the_audit(api, governance):
    virtual_key(api, id="vk")
    with governance.users._writer.write() as write:
        write.connection.exec_driver_sql("UPDATE virtual_keys SET is_active = 0, revision = ?", (write.revision,))
    assert changes(newest(api)) == {"is_active": (True, False)}


def test_what_is_deleted_and_made_again_in_one_write_was_changed(api, governance):
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    with governance.users._writer.write() as write:
        write.connection.exec_driver_sql("DELETE FROM users")
        write.connection.exec_driver_sql("INSERT INTO tombstones VALUES ('user', 'u', ?)", (write.revision,))
        row = ("u", "Grace", 1, 1, "grace", write.revision)
        write.connection.exec_driver_sql("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", row)
    entry = newest(api)
    assert (entry["action"], changes(entry)) == ("update", {"name": ("Ada", "Grace")})
