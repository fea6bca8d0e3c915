"""`POST /reservations/{id}/settle` (docs/contract.md §6): reserved amounts become usage in the window of admission."""

import pytest
from sqlalchemy import update

from governance.storage.tables import counters
from tests.metering.conftest import DAY, NANOS, dollars, ok, requests, tokens

HELD = {"tokens": 100, "cost": 0.4}


@pytest.mark.parametrize(
    ("body", "used", "overrun"),
    [
        (None, (100, 0.4), (0, 0)),
        ({}, (100, 0.4), (0, 0)),
        ({"tokens": None, "cost": None}, (100, 0.4), (0, 0)),
        ({"tokens": 0, "cost": 0}, (0, 0), (0, 0)),
        ({"tokens": 0}, (0, 0.4), (0, 0)),
        ({"cost": 0}, (100, 0), (0, 0)),
        ({"tokens": 60}, (60, 0.4), (0, 0)),
        ({"cost": 0.15}, (100, 0.15), (0, 0)),
        ({"tokens": 100, "cost": 0.4}, (100, 0.4), (0, 0)),
        ({"tokens": 130, "cost": 0.4}, (130, 0.4), (30, 0)),
        ({"tokens": 100, "cost": 0.9}, (100, 0.9), (0, 0.5)),
        ({"tokens": 5000, "cost": 7.000000001}, (5000, 7.000000001), (4900, 6.600000001)),
        ({"tokens": 50, "cost": 0.41}, (50, 0.41), (0, 0.01)),
    ],
)
def test_a_settle_charges_what_it_says_and_what_it_leaves_out_as_held(api, meter, body, used, overrun):
    limit = api.create(budget=dollars(1), rate_limit=tokens(1000) | requests(3, "1h"))
    held = meter.reserved(**HELD)["reservation"]
    meter.advance(1.5)
    after = ok(meter.settle(held["id"], body))["reservation"]
    assert after == held | {
        "status": "settled",
        "tokens": {"reserved": 100, "used": used[0]},
        "cost": {"reserved": 0.4, "used": used[1]},
        "overrun": {"tokens": overrun[0], "cost": overrun[1]},
        "settled_at": "2026-11-23T12:00:01.500000Z",
    }
    assert list(after) == list(held)
    assert meter.read(held["id"]) == after
    assert meter.stands(limit) == {"cost": (used[1], 0), "tokens": (used[0], 0), "requests": (1, 0)}
    assert meter.proven() == 3


def test_a_settle_answers_the_reservation_alone(meter):
    assert list(ok(meter.settle(meter.hold()))) == ["reservation"]


def test_what_was_held_too_much_is_free_for_the_next_call(api, meter):
    api.create(budget=dollars(1))
    held = meter.hold(cost=1)
    meter.denied(cost=0.6)
    meter.settled(held, cost=0.4)
    meter.denied(cost=0.600000001)
    meter.hold(cost=0.6)


def test_an_overrun_counts_in_full_against_the_calls_that_come_after(api, meter):
    limit = api.create(budget=dollars(1))
    held = meter.hold(cost=0.1)
    assert meter.settled(held, cost=25)["overrun"] == {"tokens": 0, "cost": 24.9}
    assert meter.stands(limit) == {"cost": (25, 0)}
    assert meter.denied()["extra_fields"]["violations"][0]["used"] == 25


def test_amounts_that_were_never_held_are_charged_at_the_settle(api, meter):
    limit = api.create(budget=dollars(1), rate_limit=tokens(1000))
    held = meter.hold()
    assert meter.stands(limit) == {"cost": (0, 0), "tokens": (0, 0)}
    after = meter.settled(held, cost=0.3, tokens=12)
    assert after["overrun"] == {"tokens": 12, "cost": 0.3}
    assert meter.stands(limit) == {"cost": (0.3, 0), "tokens": (12, 0)}


def test_a_settle_is_rounded_up_to_the_billionth(api, meter):
    limit = api.create(budget=dollars(1))
    after = meter.settled(meter.hold(), cost=0.0000000011)
    assert after["cost"]["used"] == 0.000000002
    assert meter.stands(limit) == {"cost": (0.000000002, 0)}


def test_a_settle_charges_the_window_of_admission_even_after_it_has_ended(api, meter, clock):
    limit = api.create(budget=dollars(1, "1h"))
    held = meter.hold(cost=0.5, ttl_seconds=DAY)
    clock.advance(3600)
    meter.hold(cost=0.25, ttl_seconds=DAY)
    meter.settled(held, cost=3)
    assert meter.windows(limit["budget"]) == [
        ("2026-11-23T12:00:00Z", 3 * NANOS, 0),
        ("2026-11-23T13:00:00Z", 0, NANOS // 4),
    ]
    assert meter.stands(limit) == {"cost": (0, 0.25)}
    assert meter.proven() == 2


def test_each_rule_is_charged_in_its_own_window_of_admission(api, meter, clock):
    limit = api.create(budgets=[dollars(9, "1h"), dollars(99, "1d")], rate_limit=requests(9, "1m"))
    held = meter.hold(cost=1)
    clock.advance(2 * 3600)
    meter.settled(held, cost=2)
    hour, day = limit["budgets"]
    assert meter.windows(hour) == meter.windows(day) == [("2026-11-23T12:00:00Z", 2 * NANOS, 0)]
    assert meter.windows(limit["rate_limit"], "requests") == [("2026-11-23T12:00:00Z", 1, 0)]
    after = ok(api.get(f"model-configs/{limit['id']}"))["model_config"]
    assert [budget["current_usage"] for budget in after["budgets"]] == [0, 2]


@pytest.mark.parametrize("repeat", [None, {}, {"tokens": 60}, {"cost": 0.4}, {"tokens": 60, "cost": 0.4}])
def test_a_settle_with_the_same_amounts_or_none_gives_the_first_answer_again(meter, clock, repeat):
    held = meter.hold(**HELD)
    first = meter.settle(held, {"tokens": 60})
    clock.advance(3600)
    before = meter.dump()
    again = meter.settle(held, repeat)
    assert (again.status_code, again.data) == (200, first.data)
    assert meter.dump() == before


@pytest.mark.parametrize("other", [{"tokens": 61}, {"cost": 0.400000001}, {"tokens": 60, "cost": 0}, {"tokens": 100}])
def test_a_settle_with_other_amounts_is_a_conflict_and_changes_nothing(meter, other):
    held = meter.hold(**HELD)
    meter.settled(held, tokens=60)
    before = meter.dump()
    response = meter.settle(held, other)
    error = response.get_json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (409, "conflict", "already_settled")
    assert meter.dump() == before


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"tokens": -1}', "tokens"),
        ('{"tokens": 1.5}', "tokens"),
        ('{"tokens": "1"}', "tokens"),
        ('{"tokens": true}', "tokens"),
        ('{"tokens": 1000000000001}', "tokens"),
        ('{"cost": -0.000000001}', "cost"),
        ('{"cost": "1"}', "cost"),
        ('{"cost": [1]}', "cost"),
        ('{"cost": 1000000.000000001}', "cost"),
        ('{"cost": 1e900000}', "cost"),
        ('{"requests": 2}', "requests"),
        ('{"cost": NaN}', None),
        ("[]", None),
        ("null", None),
        ("{", None),
    ],
)
def test_an_amount_that_is_none_or_out_of_bounds_is_refused_and_the_hold_stays(api, meter, body, param):
    api.create(budget=dollars(1))
    held = meter.hold(**HELD)
    before = meter.dump()
    response = api.post(f"reservations/{held}/settle", data=body)
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, param), response.text
    assert meter.dump() == before


def test_the_largest_amounts_of_one_call_can_be_settled(api, meter):
    limit = api.create(budget=dollars(1), rate_limit=tokens(1))
    meter.settled(meter.hold(), cost=1_000_000, tokens=10**12)
    assert meter.stands(limit) == {"cost": (1_000_000, 0), "tokens": (10**12, 0)}


@pytest.mark.parametrize("act", ["settle", "release", "extend"])
def test_what_was_never_reserved_is_not_found(api, act):
    response = api.post(f"reservations/nope/{act}", {"ttl_seconds": 5} if act == "extend" else {})
    body = response.get_json()
    assert (response.status_code, body["error"]["type"]) == (404, "not_found")
    assert (body["error"]["code"], body["error"]["message"]) == ("reservation_not_found", "Reservation not found")


KEY = {"id": "vk", "name": "team"}


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda api, clock: api.put("virtual-keys/vk", {"is_active": False}),
        lambda api, clock: api.delete("virtual-keys/vk"),
        lambda api, clock: clock.advance(30),
    ],
    ids=["deactivated", "deleted", "expired"],
)
def test_a_settle_goes_through_whatever_became_of_the_virtual_key(api, meter, clock, meanwhile):
    api.post("virtual-keys", KEY | {"expires_at": "2026-11-23T12:00:30Z"})
    everyone = api.create("*", budget=dollars(1))
    api.create("*", scope="virtual_key", scope_id="vk", budget=dollars(1))
    held = meter.hold(virtual_key_id="vk", cost=0.5)
    meanwhile(api, clock)
    after = meter.settled(held, cost=0.7)
    assert (after["status"], after["virtual_key_id"], after["cost"]["used"]) == ("settled", "vk", 0.7)
    assert meter.stands(everyone) == {"cost": (0.7, 0)}
    meter.proven()


def test_a_settle_charges_a_limit_that_was_lowered_below_what_was_held(api, meter):
    limit = api.create(budget=dollars(1))
    held = meter.hold(cost=0.5)
    api.put(f"model-configs/{limit['id']}", {"budget": dollars(0.1)})
    meter.settled(held, cost=0.6)
    assert meter.stands(limit) == {"cost": (0.6, 0)}


def test_a_settle_after_a_rule_was_deleted_charges_the_rules_that_are_left(api, meter):
    limit = api.create(budgets=[dollars(1, "1d"), dollars(9, "1M")], rate_limit=requests(5))
    held = meter.hold(cost=0.5, tokens=10)
    month = {"id": limit["budgets"][1]["id"]} | dollars(9, "1M")
    ok(api.put(f"model-configs/{limit['id']}", {"budgets": [month], "rate_limits": []}))
    after = meter.settled(held, cost=0.75, tokens=11)
    assert (after["cost"], after["tokens"]) == ({"reserved": 0.5, "used": 0.75}, {"reserved": 10, "used": 11})
    assert meter.stands(limit) == {"cost": (0.75, 0)}
    assert meter.proven() == 1


def test_a_settle_after_its_only_limit_was_deleted_keeps_what_it_spent(api, meter):
    limit = api.create(budget=dollars(1))
    held = meter.hold(cost=0.5)
    api.delete(f"model-configs/{limit['id']}")
    assert meter.settled(held, cost=0.75)["cost"] == {"reserved": 0.5, "used": 0.75}
    assert meter.read(held)["status"] == "settled"
    assert meter.proven() == 0


def test_a_limit_that_was_made_anew_is_not_charged_for_a_hold_on_the_old_one(api, meter):
    limit = api.create(budget=dollars(1))
    held = meter.hold(cost=0.5)
    api.delete(f"model-configs/{limit['id']}")
    again = api.create(budget=dollars(1))
    meter.settled(held, cost=0.75)
    assert meter.stands(again) == {"cost": (0, 0)}


def test_a_rule_that_was_made_after_admission_is_not_charged(api, meter):
    held = meter.hold(cost=0.5)
    limit = api.create(budget=dollars(1))
    meter.settled(held, cost=0.75)
    assert meter.stands(limit) == {"cost": (0, 0)}


def test_a_settle_is_refused_only_where_its_counter_cannot_hold_more_than_was_held(api, meter, database):
    limit = api.create(rate_limit=tokens(2**53 - 1))
    held = meter.hold(tokens=1)
    with database.write() as connection:
        full = 2**62 - 1
        connection.execute(update(counters).values(used=full, folded=full))
    refused = meter.settle(held, {"tokens": 1000})
    assert (refused.status_code, refused.get_json()["error"]["param"]) == (400, "tokens")
    assert meter.stands(limit)["tokens"] == (full, 1)
    assert meter.settled(held)["tokens"] == {"reserved": 1, "used": 1}
    assert meter.stands(limit)["tokens"] == (2**62, 0)
    meter.proven()
