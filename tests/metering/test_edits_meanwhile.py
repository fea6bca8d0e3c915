"""Limits change and clocks step while calls are in progress (docs/contract.md §5, §6)."""

import pytest

from tests.conftest import governance_of
from tests.metering.conftest import DAY, NANOS, dollars, ok, requests, tokens


def edit(api, limit, **body):
    return ok(api.put(f"model-configs/{limit['id']}", body))["model_config"]


def both(api):
    """Return the only limit. Both sources must show the same."""
    governance_of(api.client.application).poller.poll()
    [found] = api.list()["model_configs"]
    assert api.list(memory=True)["model_configs"] == [found]
    return found


ALIGNED = {"calendar_aligned": True}
NEW_YORK = {"timezone": "America/New_York"}
MOVES = [
    ({"budget": dollars(1, "1h")}, {"budget": dollars(1, "1d")}, ("2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z")),
    ({"budget": dollars(1, "1d")}, {"budget": dollars(1, "1m")}, ("2026-11-23T12:01:00Z", "2026-11-23T12:02:00Z")),
    ({"budget": dollars(1, "1d")}, ALIGNED, ("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")),
    ({"budget": dollars(1, "1d")} | ALIGNED, NEW_YORK, ("2026-11-23T05:00:00Z", "2026-11-24T05:00:00Z")),
    (
        {"budget": dollars(1, "1d")} | ALIGNED,
        {"budget": dollars(1, "1w")},
        ("2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
    ),
    (
        {"budget": dollars(1, "1M")} | ALIGNED,
        {"calendar_aligned": False},
        ("2026-11-23T12:00:00Z", "2026-12-23T12:00:00Z"),
    ),
]


@pytest.mark.parametrize(("before", "change", "window"), MOVES, ids=str)
def test_an_edit_of_a_window_takes_what_is_used_and_held_along(api, meter, before, change, window):
    limit = api.create(**before)
    held = meter.hold(cost=0.25)
    meter.reported(cost=0.5)
    meter.advance(90)
    if "budget" in change:
        change = {"budget": change["budget"] | {"id": limit["budget"]["id"]}}
    edit(api, limit, **change)
    budget = both(api)["budget"]
    assert (budget["last_reset"], budget["resets_at"]) == window
    assert (budget["current_usage"], budget["reserved"]) == (0.5, 0.25)
    meter.denied(cost=0.26)
    meter.settled(held, cost=0.5)
    assert meter.windows(limit["budget"]) == [(window[0], NANOS, 0)]
    assert both(api)["budget"]["current_usage"] == 1
    meter.proven()


def test_an_edit_there_and_back_loses_nothing(api, meter, clock):
    limit = api.create(budget=dollars(1, "1h"))
    held = meter.hold(cost=0.25)
    for duration in ("1d", "1h", "1w", "1h"):
        clock.advance(60)
        edit(api, limit, budget=dollars(1, duration) | {"id": limit["budget"]["id"]})
        assert meter.stands(limit) == {"cost": (0, 0.25)}
    meter.settled(held)
    assert meter.stands(limit) == {"cost": (0.25, 0)}
    assert meter.proven() == 1


RATES = [
    ([requests(5)], [tokens(50) | requests(5)]),
    ([tokens(50) | requests(5)], [requests(5)]),
    ([tokens(50) | requests(5)], [tokens(50), requests(5)]),
    ([tokens(50), requests(5)], [tokens(50) | requests(5)]),
    ([tokens(50) | requests(5)], [tokens(50, "1h") | requests(5)]),
]


@pytest.mark.parametrize(("before", "after"), RATES, ids=str)
def test_an_edit_without_ids_admits_no_call_more_than_before(api, meter, before, after):
    limit = api.create(rate_limits=before)
    held = [meter.hold(tokens=1) for _ in range(2)]
    meter.reported(requests=2)
    limit = edit(api, limit, rate_limits=after)
    assert meter.stands(limit)["requests"] == (2, 2)
    meter.hold(tokens=1)
    assert denied_by(meter.reserve(tokens=1)) == ["requests"]
    for each in held:
        meter.settled(each, tokens=1)
    assert meter.stands(limit)["requests"] == (4, 1)
    assert both(api)["id"] == limit["id"]
    meter.proven()


def test_a_window_moved_to_another_rate_limit_takes_its_closed_holds_along(api, meter, clock):
    limit = api.create(rate_limits=[tokens(50, "1m"), requests(5, "1m")])
    held = meter.hold(tokens=7, ttl_seconds=DAY)
    clock.advance(60)
    meter.reported(tokens=3, requests=1)
    limit = edit(api, limit, rate_limits=[tokens(50, "1m") | requests(5, "1m")])
    meter.settled(held, tokens=9)
    assert meter.stands(limit) == {"tokens": (3, 0), "requests": (1, 0)}
    assert meter.proven() == 4


def test_a_singular_budget_whose_period_changes_admits_no_dollar_more(api, meter):
    limit = api.create(budget=dollars(1, "1d"))
    held = meter.hold(cost=0.25)
    meter.reported(cost=0.5)
    edit(api, limit, budget=dollars(1, "1w"))
    meter.denied(cost=0.26)
    meter.settled(held, cost=0.5)
    assert meter.stands(limit) == {"cost": (1, 0)}
    meter.proven()


def test_a_closed_window_stays_as_it_was_and_its_holds_settle_there(api, meter, clock):
    limit = api.create(budget=dollars(1, "1h"))
    held = meter.hold(cost=0.25, ttl_seconds=DAY)
    meter.reported(cost=0.5)
    clock.advance(3600)
    edit(api, limit, budget=dollars(1, "1d") | {"id": limit["budget"]["id"]})
    assert meter.stands(limit) == {"cost": (0, 0)}
    meter.reported(cost=0.125)
    meter.settled(held, cost=2)
    assert meter.windows(limit["budget"]) == [
        ("2026-11-23T12:00:00Z", 5 * NANOS // 2, 0),
        ("2026-11-23T12:00:00Z", NANOS // 8, 0),
    ]
    assert meter.stands(limit) == {"cost": (0.125, 0)}
    meter.proven()


def test_an_edit_of_a_maximum_moves_nothing(api, meter):
    limit = api.create(budget=dollars(1), rate_limit=tokens(50))
    meter.hold(cost=0.5, tokens=20)
    before = meter.dump()
    edit(api, limit, budget=dollars(0.25), rate_limit=tokens(60))
    after = meter.dump()
    assert [row[-1] for row in after["counters"]] == [NANOS // 4, 60]
    for dump in (before, after):
        dump["counters"] = [row[:-1] for row in dump["counters"]]
    assert after == before
    assert meter.denied()["extra_fields"]["violations"][0]["remaining"] == 0


@pytest.mark.parametrize("kind", ["budget", "tokens", "requests", "rate limit"])
def test_deleting_a_rule_with_holds_leaves_the_holds_on_the_others(api, meter, kind):
    limit = api.create(budget=dollars(1), rate_limit=tokens(50) | requests(5))
    held = meter.hold(cost=0.5, tokens=20)
    rate = {"id": limit["rate_limit"]["id"]}
    edits = {
        "budget": {"budgets": []},
        "tokens": {"rate_limits": [rate | requests(5)]},
        "requests": {"rate_limits": [rate | tokens(50)]},
        "rate limit": {"rate_limits": []},
    }
    edit(api, limit, **edits[kind])
    left = {"cost": (0, 0.5), "tokens": (0, 20), "requests": (0, 1)}
    for metric in {"budget": ["cost"], "rate limit": ["tokens", "requests"]}.get(kind, [kind]):
        del left[metric]
    assert meter.stands(limit) == left
    assert meter.proven() == len(left)
    meter.settled(held, cost=0.75, tokens=21)
    assert meter.stands(limit) == {
        metric: used
        for metric, used in {"cost": (0.75, 0), "tokens": (21, 0), "requests": (1, 0)}.items()
        if metric in left
    }
    meter.proven()


def test_a_metric_that_left_and_came_back_starts_at_nothing(api, meter):
    limit = api.create(rate_limit=tokens(50) | requests(5))
    held = meter.hold(tokens=20)
    rate = {"id": limit["rate_limit"]["id"]}
    edit(api, limit, rate_limits=[rate | requests(5)])
    edit(api, limit, rate_limits=[rate | requests(5) | tokens(50)])
    meter.settled(held, tokens=30)
    assert meter.stands(limit) == {"tokens": (0, 0), "requests": (1, 0)}
    meter.proven()


def test_deleting_a_virtual_key_takes_the_counters_and_holds_of_its_limits(api, meter):
    api.post("virtual-keys", {"id": "vk", "name": "team"})
    api.create("*", scope="virtual_key", scope_id="vk", budget=dollars(1))
    everyone = api.create("*", budget=dollars(1))
    held = meter.hold(virtual_key_id="vk", cost=0.5)
    api.delete("virtual-keys/vk")
    assert [row[1] for row in meter.dump()["counters"]] == [everyone["budget"]["id"]]
    meter.settled(held, cost=0.25)
    assert meter.stands(everyone) == {"cost": (0.25, 0)}
    assert meter.proven() == 1


def denied_by(response):
    """Return the metrics of the rules that deny."""
    assert response.status_code in (402, 429), response.text
    return [rule["metric"] for rule in response.get_json()["extra_fields"]["violations"]]


def test_a_limit_made_between_match_and_transaction_is_honoured(api, other, meter):
    other.hold(cost=1)
    limit = api.create(budget=dollars(1), rate_limit=requests(1))
    assert denied_by(other.reserve(cost=2)) == ["cost"]
    other.hold(cost=1)
    assert meter.stands(limit) == {"cost": (0, 1), "requests": (0, 1)}
    assert denied_by(other.reserve()) == ["cost", "requests"]


def test_a_rule_added_between_match_and_transaction_is_honoured(api, other, meter):
    limit = api.create(budget=dollars(1))
    other.hold(cost=0.5)
    edit(api, limit, rate_limit=requests(1))
    other.hold()
    assert denied_by(other.reserve()) == ["requests"]
    assert meter.stands(limit) == {"cost": (0, 0.5), "requests": (0, 1)}


@pytest.mark.parametrize(
    ("most", "asked", "passes"), [(0.5, 0.5, False), (0.5, 0.1, True), (3, 2, True), (3, 2.8, False)]
)
def test_a_maximum_changed_between_match_and_transaction_is_honoured(api, other, most, asked, passes):
    limit = api.create(budget=dollars(1))
    other.hold(cost=0.3)
    edit(api, limit, budget=dollars(most))
    response = other.reserve(cost=asked)
    assert response.status_code == 200 if passes else denied_by(response) == ["cost"]


def test_a_window_changed_between_match_and_transaction_is_honoured(api, other, meter, clock):
    limit = api.create(budget=dollars(1, "1h"))
    other.hold(cost=0.6)
    edit(api, limit, budget=dollars(1, "1d") | {"id": limit["budget"]["id"]})
    clock.advance(3600)
    assert denied_by(other.reserve(cost=0.6)) == ["cost"]
    assert other.reserved(cost=0.4)["limits"][0]["resets_at"] == "2026-11-24T12:00:00Z"


def test_a_zone_changed_between_match_and_transaction_is_honoured(api, other):
    limit = api.create(budget=dollars(1), calendar_aligned=True)
    other.hold(cost=0.6)
    edit(api, limit, timezone="America/New_York")
    assert other.reserved(cost=0.1)["limits"][0]["resets_at"] == "2026-11-24T05:00:00Z"


@pytest.mark.parametrize("whole", [True, False], ids=["limit", "rule"])
def test_what_was_deleted_between_match_and_transaction_refuses_nothing(api, other, whole):
    limit = api.create(budget=dollars(1))
    other.hold(cost=1)
    if whole:
        api.delete(f"model-configs/{limit['id']}")
    else:
        edit(api, limit, budgets=[])
    assert other.reserved(cost=100)["limits"] == []


def test_a_report_too_is_charged_to_the_rules_of_now(api, other, meter):
    other.reported(cost=1)
    limit = api.create(budget=dollars(1))
    other.reported(cost=2)
    assert meter.stands(limit) == {"cost": (2, 0)}


def test_a_virtual_key_deactivated_by_another_worker_is_refused_at_once(api, other):
    api.post("virtual-keys", {"id": "vk", "name": "team"})
    other.governance.cache.refresh()
    other.hold(virtual_key_id="vk")
    api.put("virtual-keys/vk", {"is_active": False})
    assert other.reserve(virtual_key_id="vk").status_code == 403


def test_two_workers_never_admit_more_than_the_limit_together(api, meter, other):
    limit = api.create(budget=dollars(1))
    other.governance.cache.refresh()
    statuses = [each.reserve(cost=0.3).status_code for _ in range(5) for each in (meter, other)]
    assert statuses.count(200) == 3
    assert meter.stands(limit) == {"cost": (0, 0.9)}
    meter.proven()


def test_a_worker_settles_what_another_one_reserved(api, meter, other):
    limit = api.create(budget=dollars(1))
    held = meter.hold(cost=0.5)
    other.settled(held, cost=0.25)
    assert meter.read(held)["status"] == "settled"
    assert meter.stands(limit) == {"cost": (0.25, 0)}


def test_a_clock_that_steps_back_reopens_no_closed_window(api, meter, clock):
    limit = api.create(rate_limit=requests(2, "1m"))
    meter.hold()
    clock.advance(60)
    meter.hold()
    meter.hold()
    clock.advance(-30)
    response = meter.reserve()
    assert denied_by(response) == ["requests"]
    assert response.headers["Retry-After"] == "90"
    assert meter.checked()["decision"] == "deny"
    rate = both(api)["rate_limit"]
    assert (rate["request_last_reset"], rate["request_reserved"]) == ("2026-11-23T12:01:00Z", 2)
    meter.reported()
    assert meter.stands(limit) == {"requests": (1, 2)}
    assert meter.proven() == 2


def test_a_clock_that_steps_back_zeroes_nothing(api, meter, clock):
    limit = api.create(rate_limit=requests(1, "1m"))
    meter.hold()
    clock.advance(-3600)
    assert denied_by(meter.reserve()) == ["requests"]
    assert both(api)["id"] == limit["id"]
    assert meter.stands(limit) == {"requests": (0, 1)}
    clock.advance(3600 + 60)
    meter.hold()


def test_a_clock_that_steps_back_before_anything_was_counted_in_the_new_window_finds_the_old_one(api, meter, clock):
    api.create(rate_limit=requests(1, "1m"))
    meter.hold()
    clock.advance(60)
    assert meter.checked()["decision"] == "allow"
    clock.advance(-1)
    assert denied_by(meter.reserve()) == ["requests"]


def test_a_hold_made_after_the_clock_stepped_back_settles_in_the_window_that_it_was_counted_in(api, meter, clock):
    limit = api.create(budget=dollars(1, "1h"))
    clock.advance(3600)
    meter.reported(cost=0.5)
    clock.advance(-1800)
    held = meter.hold(cost=0.25)
    assert meter.settled(held, cost=0.375)["settled_at"] == "2026-11-23T12:30:00Z"
    clock.advance(1800)
    assert meter.stands(limit) == {"cost": (0.875, 0)}
    meter.proven()


def test_an_edit_after_the_clock_stepped_back_brings_the_counter_into_the_window_of_now(api, meter, clock):
    limit = api.create(budget=dollars(1, "1h"))
    clock.advance(3600)
    held = meter.hold(cost=0.25)
    clock.advance(-1800)
    edit(api, limit, budget=dollars(1, "1m") | {"id": limit["budget"]["id"]})
    assert both(api)["budget"]["last_reset"] == "2026-11-23T12:30:00Z"
    meter.settled(held)
    assert meter.stands(limit) == {"cost": (0.25, 0)}
    meter.proven()


def test_usage_while_the_clock_was_back_reaches_the_memory_though_the_clock_is_right_again(api, meter, clock):
    api.create(budget=dollars(1))
    clock.advance(3600)
    meter.poll()
    clock.advance(-60)
    meter.reported(cost=0.5)
    clock.advance(65)
    assert both(api)["budget"]["current_usage"] == 0.5


def test_two_acts_at_the_same_instant_reach_the_memory_each_with_the_poll_after_it(api, meter):
    api.create(budget=dollars(1))
    for used in (0.25, 0.5, 0.75):
        meter.reported(cost=0.25)
        assert both(api)["budget"]["current_usage"] == used
