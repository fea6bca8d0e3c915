"""Stores of all versions of Bifrost whose tables are known."""

import pytest

from tests.bifrost.conftest import read
from tests.bifrost.stores import CURRENT, LATER, OLD, VERSIONS, BifrostStore
from tests.metering.conftest import ok

MORNING = "2026-11-23 08:00:00.123456789+00:00"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_limit_of_any_version_moves_in_with_what_it_names(path, imported, api, version):
    store = BifrostStore(path, VERSIONS[version])
    rate = store.rate_limit(request_max_limit=15, request_reset_duration="1m")
    budget = store.budget(last_reset=MORNING, current_usage=1.5)
    limit = store.limit(budget_id=budget, rate_limit_id=rate)
    imported()
    found = read(api, limit)
    assert (found["scope"], found["calendar_aligned"]) == ("global", False)
    assert (found["budget"]["id"], found["budget"]["current_usage"]) == (budget, 1.5)
    assert found["budget"]["last_reset"] == "2026-11-23T08:00:00.123456Z"
    assert found["rate_limit"]["id"] == rate


@pytest.mark.parametrize("version", VERSIONS)
def test_a_virtual_keys_own_budget_and_rate_limit_become_its_limit_on_all_models(path, imported, api, version):
    store = BifrostStore(path, VERSIONS[version])
    rate = store.rate_limit(request_max_limit=15, request_reset_duration="1m")
    if version in ("old", "middle"):
        budget = store.budget()
        key = store.key(rate_limit_id=rate, budget_id=budget)
    else:
        key = store.key(rate_limit_id=rate)
        budget = store.budget(virtual_key_id=key)
    report = imported()
    assert report.remarks(key) == []
    found = read(api, key)
    assert (found["model_name"], found["provider"], found["scope"], found["scope_id"]) == (
        "*",
        None,
        "virtual_key",
        key,
    )
    assert (found["budget"]["id"], found["rate_limit"]["id"]) == (budget, rate)
    assert imported().said["changes"] is False


def test_a_virtual_keys_own_budget_joins_the_limit_on_all_models_that_the_key_has(store, imported, api):
    rate = store.rate_limit(request_max_limit=15, request_reset_duration="1m")
    key = store.key(rate_limit_id=rate)
    limit = store.limit("*", scope="virtual_key", scope_id=key, rate_limit_id=rate)
    own, linked = store.budget(virtual_key_id=key, reset_duration="1M"), store.budget(limit)
    assert imported().counts["model_config"] == [1, 1, 0, 0]
    found = read(api, limit)
    assert [each["id"] for each in found["budgets"]] == [linked, own]
    assert [each["id"] for each in found["rate_limits"]] == [rate]


def test_later_rate_limits_name_their_limit_and_one_metric(path, imported, api):
    store = BifrostStore(path, LATER)
    limit = store.limit()
    tokens = store.rate_limit(
        model_config_id=limit, metric="tokens", token_max_limit=500, token_reset_duration="1h", request_max_limit=1
    )
    minute = store.rate_limit(
        model_config_id=limit, metric="requests", request_max_limit=15, request_reset_duration="1m"
    )
    day = store.rate_limit(
        model_config_id=limit, metric="requests", request_max_limit=1500, request_reset_duration="1d"
    )
    images = store.rate_limit(model_config_id=limit, metric="images", request_max_limit=5, request_reset_duration="1d")
    report = imported()
    assert [each["id"] for each in read(api, limit)["rate_limits"]] == [minute, tokens, day]
    assert report.reason(images) == "metric is 'images': only tokens and requests are counted here."


def test_a_later_key_brings_its_expiry(path, imported, api, meter):
    store = BifrostStore(path, LATER)
    key = store.key(expires_at="2026-11-24 00:00:00+01:00")
    gone = store.key(expires_at="2026-11-23 11:59:59Z", value="sk-bf-gone")
    never = store.key(expires_at=None)
    imported()
    expiries = [ok(api.get(f"virtual-keys/{each}"))["virtual_key"]["expires_at"] for each in (key, gone, never)]
    assert expiries == ["2026-11-23T23:00:00Z", "2026-11-23T11:59:59Z", None]
    assert meter.reserve(virtual_key="sk-bf-gone").get_json()["error"]["code"] == "virtual_key_expired"


def test_an_override_is_not_taken_and_the_report_says_so(path, imported, api):
    store = BifrostStore(path, LATER)
    limit = store.limit()
    budget = store.budget(limit, override_amount=5.0, override_mode="cycles", override_cycles_remaining=2)
    quiet = store.budget(limit, reset_duration="1M", override_amount=0, override_mode="")
    report = imported()
    assert report.remarks(budget) == ["Its override (amount 5.0, mode 'cycles') is not taken: its own maximum holds."]
    assert report.remarks(quiet) == []
    assert read(api, limit)["budget"]["max_limit"] == 10


def test_quarters_become_three_months(path, imported, api):
    store = BifrostStore(path, LATER)
    limit = store.limit(calendar_aligned=1)
    budget = store.budget(limit, reset_duration="1Q", reset_config_json='{"quarter_start_month": 2}')
    report = imported()
    assert read(api, limit)["budget"]["resets_at"] == "2027-01-01T00:00:00Z"
    assert report.remarks(budget) == [
        "1Q is written 3M here.",
        "Quarters begin in January, April, July and October here, whatever its reset_config says.",
    ]


def test_columns_and_tables_that_we_do_not_know_are_not_read(path, imported):
    tables = {name: f"{columns}, later_column blob" for name, columns in LATER.items()}
    store = BifrostStore(path, tables | {"governance_teams": "id text PRIMARY KEY"})
    store.limit(later_column=b"\xff")
    assert imported().counts["model_config"] == [1, 1, 0, 0]


@pytest.mark.parametrize("left", [["governance_virtual_keys"], ["governance_model_configs"]])
def test_a_store_without_some_of_the_tables_is_read_for_the_others(path, imported, left):
    store = BifrostStore(path, {name: columns for name, columns in CURRENT.items() if name in left})
    store.key() if "governance_virtual_keys" in left else store.limit()
    assert imported().said["changes"] is True


def test_an_old_store_knows_no_scopes_and_its_two_limits_on_one_thing_are_told(path, imported):
    store = BifrostStore(path, OLD)
    first, second = store.limit("gpt-4o"), store.limit("GPT-4o")
    report = imported()
    assert report.outcome(first) == "taken"
    assert report.reason(second).startswith(f"It limits the same as '{first}'")
