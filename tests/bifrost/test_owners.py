"""The owner of a budget or rate limit, found by its own columns and by those of its owners, in every version."""

import pytest

from tests.bifrost.conftest import read
from tests.bifrost.stores import CURRENT, MIDDLE, OLD, BifrostStore

MORNING = "2026-11-23 08:00:00+00:00"
REQUESTS = {"request_max_limit": 15, "request_reset_duration": "1m"}


def the_limit(api):
    (found,) = api.list()["model_configs"]
    return found


def on(limit):
    return limit["model_name"], limit["provider"], limit["scope"], limit["scope_id"]


def caps(limit):
    return [each["id"] for each in (*limit["budgets"], *limit["rate_limits"])]


def test_a_providers_budget_and_rate_limit_are_a_limit_on_all_its_models(store, imported, api, meter):
    budget, rate = store.budget(max_limit=1, last_reset=MORNING, current_usage=0.75), store.rate_limit(**REQUESTS)
    store.provider("openai", budget_id=budget, rate_limit_id=rate)
    store.provider("anthropic")
    report = imported()
    found = the_limit(api)
    assert (found["id"], *on(found)) == ("provider-openai", "*", "openai", "global", None)
    assert caps(found) == [budget, rate]
    assert report.remarks(found["id"])[0].startswith("Bifrost keeps this with the provider itself")
    meter.denied("gpt-4o", provider="openai", cost=0.5)
    meter.hold("gpt-4o", provider="anthropic", cost=5)
    assert imported().said["changes"] is False


def test_a_providers_budget_joins_the_limit_that_the_store_has_on_all_its_models(store, imported, api):
    limit = store.limit("*", provider="OpenAI")
    own, linked = store.budget(reset_duration="1M"), store.budget(limit)
    store.provider("openai", budget_id=own)
    imported()
    assert (the_limit(api)["id"], caps(the_limit(api))) == (limit, [linked, own])


@pytest.mark.parametrize("tables", [OLD, CURRENT], ids=["named by its owner", "names its owner"])
def test_the_caps_of_a_keys_provider_settings_are_a_limit_of_the_key_on_that_provider(path, imported, api, tables):
    store = BifrostStore(path, tables)
    key, rate = store.key(), store.rate_limit(**REQUESTS)
    if tables is OLD:
        budget = store.budget()
        store.provider_config(key, "anthropic", budget_id=budget, rate_limit_id=rate)
    else:
        budget = store.budget(provider_config_id=store.provider_config(key, "anthropic", rate_limit_id=rate))
    report = imported()
    found = the_limit(api)
    assert on(found) == ("*", "anthropic", "virtual_key", key)
    assert caps(found) == [budget, rate]
    assert report.remarks(found["id"])[0].startswith("Bifrost keeps this with the virtual key's provider settings")
    assert imported().said["changes"] is False


def test_provider_settings_of_two_keys_are_two_limits(store, imported, api):
    keys = [store.key(), store.key()]
    budgets = [store.budget(provider_config_id=store.provider_config(key)) for key in keys]
    imported()
    found = {limit["scope_id"]: caps(limit) for limit in api.list()["model_configs"]}
    assert found == {key: [budget] for key, budget in zip(keys, budgets, strict=True)}


def test_provider_settings_follow_the_calendar_as_their_key_does(store, imported, api):
    config = store.provider_config(store.key(calendar_aligned=1))
    store.budget(provider_config_id=config)
    imported()
    assert the_limit(api)["calendar_aligned"] is True


@pytest.mark.parametrize("key", ["gone", " "])
def test_provider_settings_of_a_key_that_is_not_there_are_told(store, imported, key):
    config, rate = store.provider_config(key), store.rate_limit(**REQUESTS)
    store.provider_config(key, "anthropic", rate_limit_id=rate)
    budget = store.budget(provider_config_id=config)
    report = imported()
    why = "It belongs to provider settings without a provider, or of a virtual key that is not in the store."
    assert (report.reason(budget), report.reason(rate)) == (why, why)


def test_a_budget_that_names_no_known_owner_is_of_the_owner_that_names_it(store, imported, api):
    budget = store.budget(model_config_id="gone")
    limit = store.limit(budget_id=budget)
    imported()
    assert caps(read(api, limit)) == [budget]


def test_a_budget_with_two_owners_caps_both(store, imported, api):
    first = store.limit("gpt-4o")
    budget = store.budget(first)
    second = store.limit("gpt-5", budget_id=budget)
    report = imported()
    assert [len(read(api, each)["budgets"]) for each in (first, second)] == [1, 1]
    assert report.remarks(budget)[0].startswith("Several limits share it in Bifrost")


def test_a_limit_made_for_a_key_does_not_take_the_id_of_another(store, imported, api):
    other = store.limit("gpt-4o", id="demo")
    key = store.key(id="demo")
    budget = store.budget(virtual_key_id=key)
    imported()
    assert (caps(read(api, other)), caps(read(api, "demo-limit"))) == ([], [budget])


def test_a_budgets_own_calendar_flag_has_its_limit_follow_the_calendar(path, imported, api):
    store = BifrostStore(path, MIDDLE)
    budget = store.budget(calendar_aligned=1, reset_duration="1M", last_reset="2026-11-01 00:00:00Z", current_usage=5)
    limit = store.limit(budget_id=budget)
    report = imported()
    found = read(api, limit)
    assert (found["calendar_aligned"], found["budget"]["resets_at"]) == (True, "2026-12-01T00:00:00Z")
    assert (found["budget"]["current_usage"], report.remarks(budget)) == (5, [])


def test_what_rolled_beside_a_budget_of_the_calendar_keeps_its_usage_and_says_so(path, imported, api):
    store = BifrostStore(path, MIDDLE)
    budget = store.budget(calendar_aligned=1, reset_duration="1M")
    evening = {"request_last_reset": "2026-11-22 20:00:00Z", "request_current_usage": 4}
    rate = store.rate_limit(request_max_limit=15, request_reset_duration="1d", **evening)
    limit = store.limit(budget_id=budget, rate_limit_id=rate)
    report = imported()
    assert report.remarks(rate) == [
        "Its windows roll in Bifrost; here they follow the calendar, as a budget of the same limit does."
    ]
    assert read(api, limit)["rate_limit"]["request_current_usage"] == 4


def test_a_flag_on_a_window_that_cannot_follow_the_calendar_means_nothing(path, imported, api):
    store = BifrostStore(path, MIDDLE)
    hour, month = store.budget(calendar_aligned=1, reset_duration="1h"), store.budget(reset_duration="1M")
    limits = [store.limit("gpt-4o", budget_id=hour), store.limit("gpt-5", budget_id=month)]
    imported()
    assert [read(api, each)["calendar_aligned"] for each in limits] == [False, False]
    assert imported().remarks(month) == []


def test_a_teams_rate_limit_is_told_as_the_teams(store, imported):
    rate, budget = store.rate_limit(**REQUESTS), store.budget()
    store.team(rate_limit_id=rate, budget_id=budget)
    report = imported()
    assert {report.reason(rate), report.reason(budget)} == {"It belongs to a team, and there are none here."}


def test_what_caps_and_is_not_read_is_named(path, run, imported):
    tables = {
        "governance_teams": "id text, rate_limit_id text, name text",
        "governance_budget_extensions": "id text, amount real",
        "governance_user_groups": "id text, weekly_window_token_limit bigint",
        "governance_empty_budgets": "id text",
        "governance_routing_rules": "id text, name text",
    }
    budgets = CURRENT["governance_budgets"] + ", soft_limit real, hard real, unused real DEFAULT 0"
    store = BifrostStore(path, CURRENT | tables | {"governance_budgets": budgets})
    store.budget(store.limit(), soft_limit=5, hard=1)
    store.run(
        "governance_teams",
        [{"id": "t", "rate_limit_id": "r", "name": "x"}, {"id": "u", "rate_limit_id": None, "name": "y"}],
    )
    store.run("governance_budget_extensions", [{"id": "e", "amount": 5}, {"id": "f", "amount": 0}])
    store.run("governance_user_groups", [{"id": "g", "weekly_window_token_limit": 50}])
    store.run("governance_routing_rules", [{"id": "r", "name": "x"}])
    named = [
        ("governance_budget_extensions", None, 2),
        ("governance_budgets", "hard", 1),
        ("governance_budgets", "soft_limit", 1),
        ("governance_teams", "rate_limit_id", 1),
        ("governance_user_groups", "weekly_window_token_limit", 1),
    ]
    output = run("--dry-run").output
    assert [(each["table"], each["column"], each["rows"]) for each in imported().said["not_read"]] == named
    assert "Not read, though it may hold caps:\n  table governance_budget_extensions (2 rows)\n" in output


def test_where_all_was_left_out_the_end_does_not_say_that_all_is_here(store, run):
    store.budget(team_id="t")
    assert run().output.splitlines()[-1] == "Nothing was stored: what is not here already was left out."
