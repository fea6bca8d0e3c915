"""The windows of a limit and its forecast, over HTTP."""

import pytest

from tests.metering.conftest import DAY, dollars, ok, requests, tokens


@pytest.fixture
def seen(api):
    """The windows of a limit, each as some of its fields."""

    def seen(limit, *names, query=""):
        answer = ok(api.get(f"model-configs/{limit['id']}/windows?{query}"))
        return [tuple(each[name] for name in names) for each in answer["windows"]]

    return seen


@pytest.fixture
def forecasts(api):
    def forecasts(limit):
        return ok(api.get(f"model-configs/{limit['id']}/forecast"))["forecasts"]

    return forecasts


def test_each_window_has_what_was_used_and_the_maximum_at_its_end(api, meter, seen):
    limit = api.create("gpt-4o", budget=dollars(10))
    assert seen(limit, "start") == []
    meter.reported(cost=4)
    meter.advance(DAY)
    meter.reported(cost=5)
    held = meter.hold(cost=1)
    ok(api.put(f"model-configs/{limit['id']}", {"budgets": [{"id": limit["budget"]["id"], **dollars(20)}]}))
    meter.advance(DAY)
    meter.settled(held, cost=2)
    meter.reported(cost=6)
    ok(api.put(f"model-configs/{limit['id']}", {"budgets": [{"id": limit["budget"]["id"], **dollars(30)}]}))
    assert seen(limit, "start", "end", "used", "reserved", "limit", "is_current") == [
        ("2026-11-25T12:00:00Z", "2026-11-26T12:00:00Z", 6, 0, 30, True),
        ("2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z", 7, 0, 20, False),
        ("2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z", 4, 0, 10, False),
    ]


def test_a_new_window_setting_moves_the_open_window_with_its_maximum(api, meter, seen):
    limit = api.create("gpt-4o", budget=dollars(10))
    meter.reported(cost=4)
    ok(api.put(f"model-configs/{limit['id']}", {"budgets": [{"id": limit["budget"]["id"], **dollars(9, "1h")}]}))
    assert seen(limit, "end", "used", "limit") == [("2026-11-23T13:00:00Z", 4, 9)]


def test_windows_are_paged_and_of_one_rule_or_metric(api, meter, seen):
    limit = api.create("gpt-4o", budget=dollars(10), rate_limits=[tokens(100, "1d") | requests(5, "1h")])
    for _ in range(3):
        meter.reported(cost=1, tokens=7)
        meter.advance(DAY)
    assert seen(limit, "metric", query="limit=4") == [("cost",), ("tokens",), ("requests",), ("cost",)]
    assert seen(limit, "metric", query="limit=4&offset=8") == [("requests",)]
    assert seen(limit, "used", query="metric=tokens") == [(7,), (7,), (7,)]
    assert len(seen(limit, "kind", query=f"rule_id={limit['budget']['id']}")) == 3
    answer = ok(api.get(f"model-configs/{limit['id']}/windows?limit=2"))
    assert (answer["total_count"], answer["count"]) == (9, 2)


def test_past_windows_stay_400_days_and_short_ones_7(api, meter, seen):
    limit = api.create("gpt-4o", budgets=[dollars(10, "1d"), dollars(10, "1h")])
    meter.reported(cost=1)
    for _ in range(10):
        meter.advance(DAY)
        meter.poll()
        meter.poll()
    meter.advance(3601)
    meter.poll()
    assert seen(limit, "end", "used") == [("2026-11-24T12:00:00Z", 1)]


def test_a_forecast_shows_when_a_rule_runs_out_and_its_numbers(api, meter, forecasts):
    limit = api.create("gpt-4o", budget=dollars(10))
    meter.reported(cost=2)
    meter.advance(DAY)
    meter.advance(6 * 3600)
    meter.hold(cost=1)
    meter.reported(cost=3)
    (found,) = forecasts(limit)
    assert found == {
        "rule_id": limit["budget"]["id"],
        "kind": "budget",
        "metric": "cost",
        "reset_duration": "1d",
        "limit": 10,
        "used": 3,
        "reserved": 1,
        "window_start": "2026-11-24T12:00:00Z",
        "resets_at": "2026-11-25T12:00:00Z",
        "outlook": "runs_out",
        "possible_from": "2026-11-24T13:12:00Z",
        "runs_out_at": "2026-11-25T08:00:00Z",
        "at_reset": 12,
        "passed": 0.25,
        "pace_per_day": {"this_window": 12, "past_windows": None, "expected": 12},
        "past_windows": [],
    }


def test_a_forecast_compares_with_the_same_day_of_earlier_weeks(api, meter, forecasts):
    limit = api.create("gpt-4o", budget=dollars(10))
    meter.reported(cost=2)
    for _ in range(2):
        meter.advance(7 * DAY)
    meter.advance(DAY / 2)
    meter.reported(cost=3)
    (found,) = forecasts(limit)
    assert [(past["start"], past["used"]) for past in found["past_windows"]] == [
        ("2026-11-30T12:00:00Z", 0),
        ("2026-11-23T12:00:00Z", 2),
    ]
    assert found["pace_per_day"] == {"this_window": 6, "past_windows": 1, "expected": 3.5}
    assert (found["outlook"], found["at_reset"], found["runs_out_at"]) == ("lasts", 4.75, None)


def test_forecasts_of_several_limits_are_those_of_each(api, meter, forecasts, governance):
    made = [
        api.create("gpt-4o", budgets=[dollars(10), dollars(70, "1w")], rate_limit=tokens(9, "1h") | requests(9, "1m")),
        api.create("gpt-4o", provider="openai", budget=dollars(3)),
        api.create("other", budget=dollars(3)),
    ]
    meter.reported(cost=2, tokens=50, provider="openai")
    for _ in range(3):
        meter.advance(7 * DAY)
        meter.reported(cost=2, tokens=40, provider="openai")
        meter.advance(DAY / 2)
    ids = [limit["id"] for limit in made]
    found = governance.limit_windows.forecasts_of([*ids, "unknown"])
    assert found == {limit_id: governance.limit_windows.forecasts(limit_id) for limit_id in ids}
    assert [len(found[limit_id]) for limit_id in ids] == [4, 1, 1]
    assert any(each.past for each in found[ids[0]])


def test_an_unused_limit_lasts_and_a_new_window_is_too_early(api, meter, forecasts):
    limit = api.create("gpt-4o", budget=dollars(10), rate_limit=tokens(10))
    assert [tuple(each[name] for name in ("metric", "outlook", "possible_from")) for each in forecasts(limit)] == [
        ("cost", "too_early", "2026-11-23T13:12:00Z"),
        ("tokens", "too_early", "2026-11-23T12:03:00Z"),
    ]
    assert [each["at_reset"] for each in forecasts(limit)] == [None, None]
    meter.advance(3000)
    meter.reported(tokens=10)
    assert [each["outlook"] for each in forecasts(limit)] == ["too_early", "used_up"]


@pytest.mark.parametrize("what", ["windows", "forecast"])
def test_an_unknown_limit_is_404_and_told_to_need_an_id(api, what):
    api.create("gpt-4o", budget=dollars(10))
    answer = api.get(f"model-configs/gpt-4o/{what}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "model_config_not_found")
    assert answer.get_json()["error"]["message"].endswith("give the id of a limit, as the list of limits shows it.")
    assert api.get("model-configs/gpt-4o").get_json()["error"]["message"] == "Model config not found"
