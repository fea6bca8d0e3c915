"""The effect of `expires_at` (docs/contract.md §6): the estimate is charged once, or nothing, as the settings say."""

import logging

import pytest

from tests.metering.conftest import DAY, NANOS, dollars, requests, tokens

ASKED = {"cost": 0.5, "tokens": 10, "ttl_seconds": 60}
CHARGED = {"cost": (0.5, 0), "tokens": (10, 0), "requests": (1, 0)}
NOTHING = {"cost": (0, 0), "tokens": (0, 0), "requests": (0, 0)}
RELEASING = {"expired_reservations": "release"}
releasing = pytest.mark.parametrize("options", [RELEASING], ids=["release"])
either = pytest.mark.parametrize(
    ("options", "stands"), [({}, CHARGED), (RELEASING, NOTHING)], ids=["charge", "release"]
)


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(1, "1M"), rate_limit=tokens(100, "1d") | requests(5, "1d"))


def test_a_reservation_that_nobody_settled_is_charged_at_its_estimate(meter, limit, clock):
    held = meter.reserved(**ASKED)["reservation"]
    clock.advance(60)
    assert meter.sweep() == 1
    assert meter.read(held["id"]) == held | {
        "status": "expired",
        "tokens": {"reserved": 10, "used": 10},
        "cost": {"reserved": 0.5, "used": 0.5},
    }
    assert meter.stands(limit) == CHARGED
    meter.proven()


@releasing
def test_by_the_other_policy_everything_goes(meter, limit, clock):
    held = meter.reserved(**ASKED)["reservation"]
    clock.advance(60)
    assert meter.sweep() == 1
    assert meter.read(held["id"]) == held | {"status": "expired", "requests": 0}
    assert meter.stands(limit) == NOTHING
    meter.proven()


@either
def test_the_poller_sweeps_and_its_memory_shows_it_at_once(api, meter, limit, clock, stands):
    meter.hold(**ASKED)
    clock.advance(60)
    meter.poll()
    assert meter.stands(limit) == stands
    assert api.list() == api.list(memory=True)


@pytest.mark.parametrize("options", [{}, RELEASING])
def test_nothing_expires_before_its_time_and_nothing_twice(meter, limit, clock):
    meter.hold(**ASKED)
    clock.advance(59.999999)
    assert meter.sweep() == 0
    clock.advance(0.000001)
    assert meter.sweep() == 1
    before = meter.dump()
    clock.advance(DAY)
    assert meter.sweep() == 0
    assert meter.dump() == before


def test_what_has_ended_otherwise_does_not_expire(meter, limit, clock):
    meter.settled(meter.hold(**ASKED), cost=0.25)
    meter.released(meter.hold(**ASKED))
    meter.reported(cost=0.125)
    before = meter.dump()
    clock.advance(DAY)
    assert meter.sweep() == 0
    assert meter.dump() == before


def test_until_it_is_swept_an_overdue_reservation_still_holds(meter, limit, clock):
    held = meter.hold(**ASKED)
    clock.advance(3600)
    assert meter.stands(limit) == {"cost": (0, 0.5), "tokens": (0, 10), "requests": (0, 1)}
    assert meter.read(held)["status"] == "open"
    assert meter.denied(cost=0.6)["extra_fields"]["violations"][0]["reserved"] == 0.5


def test_an_expiry_charges_the_window_of_admission(meter, api, clock):
    limit = api.create("o3", budget=dollars(1, "1m"))
    meter.hold("o3", cost=0.5, ttl_seconds=90)
    clock.advance(90)
    meter.sweep()
    assert meter.windows(limit["budget"]) == [("2026-11-23T12:00:00Z", NANOS // 2, 0)]
    assert meter.stands(limit) == {"cost": (0, 0)}


@either
def test_a_late_settle_may_go_over_the_limit(meter, limit, clock, stands):
    held = meter.hold(**ASKED)
    clock.advance(60)
    meter.sweep()
    assert meter.settled(held, cost=30, tokens=5000)["overrun"] == {"tokens": 4990, "cost": 29.5}
    assert meter.stands(limit) == {"cost": (30, 0), "tokens": (5000, 0), "requests": (1, 0)}
    assert meter.denied()["extra_fields"]["violations"][0]["used"] == 30
    meter.proven()


@pytest.mark.parametrize("options", [{}, RELEASING])
def test_a_late_settle_corrects_the_window_of_admission_though_another_is_current(api, meter, clock):
    limit = api.create("o3", budget=dollars(1, "1h"))
    held = meter.hold("o3", cost=0.5, ttl_seconds=60)
    clock.advance(60)
    meter.sweep()
    clock.advance(3600)
    meter.reported("o3", cost=0.125)
    meter.settled(held, cost=0.75)
    assert meter.windows(limit["budget"]) == [
        ("2026-11-23T12:00:00Z", NANOS * 3 // 4, 0),
        ("2026-11-23T13:00:00Z", NANOS // 8, 0),
    ]


def test_a_late_release_makes_room_again(meter, limit, clock):
    held = meter.hold(cost=1, ttl_seconds=60)
    clock.advance(60)
    meter.sweep()
    meter.denied(cost=0.1)
    meter.released(held)
    meter.hold(cost=1)


def test_the_policy_changes_nothing_of_what_is_settled_in_time(meter, limit, clock):
    held = meter.hold(**ASKED)
    clock.advance(59.999999)
    assert meter.settled(held)["late"] is False
    clock.advance(60)
    assert meter.sweep() == 0
    assert meter.stands(limit) == CHARGED


def test_one_sweep_takes_all_however_many_there_are(api, meter, clock):
    limit = api.create("o3", budget=dollars(1000, "1M"))
    for _ in range(1001):
        meter.hold("o3", cost=0.5, ttl_seconds=60)
    alive = meter.hold("o3", cost=0.25, ttl_seconds=61)
    clock.advance(60)
    assert meter.sweep() == 1001
    assert meter.stands(limit) == {"cost": (500.5, 0.25)}
    assert meter.read(alive)["status"] == "open"
    meter.proven()


def test_two_workers_sweep_each_reservation_once(meter, other, limit, clock):
    for _ in range(3):
        meter.hold(cost=0.125, ttl_seconds=60)
    clock.advance(60)
    theirs = other.sweep()
    assert theirs + meter.sweep() == 3
    assert meter.stands(limit)["cost"] == (0.375, 0)
    meter.proven()


@pytest.mark.parametrize("options", [{}, RELEASING])
@pytest.mark.parametrize("gone", ["rule", "limit"])
def test_what_expires_after_its_rule_was_deleted_touches_what_is_left(api, meter, limit, clock, gone):
    held = meter.hold(**ASKED)
    everyone = api.create("*", budget=dollars(1))
    if gone == "rule":
        api.put(f"model-configs/{limit['id']}", {"rate_limits": []})
    else:
        api.delete(f"model-configs/{limit['id']}")
    clock.advance(60)
    assert meter.sweep() == 1
    assert meter.read(held)["status"] == "expired"
    assert meter.stands(everyone) == {"cost": (0, 0)}
    meter.proven()


def test_a_poll_logs_no_trouble(meter, limit, clock, caplog):
    meter.hold(**ASKED)
    clock.advance(60)
    with caplog.at_level(logging.WARNING):
        meter.poll()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
