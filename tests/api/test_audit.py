"""The entries that management writes leave in the audit log."""

from governance.domain.limits.limit import Metric
from governance.startup import prepare
from tests.api.trail import DAY, KEYS, MINUTE, changes, entries, key, newest, ok, virtual_key

MONTH = {"max_limit": 500.25, "reset_duration": "1M"}
HOUR = {"token_max_limit": 1000, "token_reset_duration": "1h"}


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


def test_a_reset_of_the_budgets_alone_is_recorded_without_the_rate_limits(api, count):
    limit = api.create(budget=DAY, rate_limit=HOUR)
    count(limit["budget"]["id"], Metric.COST, used=10**9)
    count(limit["rate_limit"]["id"], Metric.TOKENS, used=7)
    ok(api.put(f"model-configs/{limit['id']}", {"reset_budget_usage": True}))
    assert changes(newest(api)) == {"budgets[1d].current_usage": (1, 0)}


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
