"""`reset_usage: true` while there are reservations (docs/contract.md §4, §5): usage becomes 0, reservations stay."""

import pytest

from tests.metering.conftest import DAY, dollars, ok, requests, tokens

ASKED = {"cost": 0.5, "tokens": 10, "ttl_seconds": 60}


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(1, "1M"), rate_limit=tokens(100, "1d") | requests(5, "1d"))


def reset(api, limit):
    ok(api.put(f"model-configs/{limit['id']}", {"reset_usage": True}))


def test_a_reset_zeroes_what_is_used_and_keeps_what_is_held(api, meter, limit):
    meter.reported(cost=0.25, tokens=50)
    held = meter.hold(**ASKED)
    reset(api, limit)
    assert meter.stands(limit) == {"cost": (0, 0.5), "tokens": (0, 10), "requests": (0, 1)}
    meter.proven()
    meter.settled(held, cost=0.375)
    assert meter.stands(limit) == {"cost": (0.375, 0), "tokens": (10, 0), "requests": (1, 0)}
    meter.proven()


def test_a_released_hold_leaves_nothing_after_a_reset(api, meter, limit):
    held = meter.hold(**ASKED)
    reset(api, limit)
    meter.released(held)
    assert meter.stands(limit) == {"cost": (0, 0), "tokens": (0, 0), "requests": (0, 0)}
    meter.proven()


def test_a_closed_window_is_not_reset(api, meter, clock, database):
    limit = api.create("o3", budget=dollars(1, "1h"))
    meter.reported("o3", cost=0.25)
    clock.advance(3600)
    reset(api, limit)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT used FROM counters").scalars().all() == [250_000_000]
    meter.proven()


@pytest.mark.parametrize("settled", [{"cost": 0}, {"cost": 0.25, "tokens": 3}, {}, {"cost": 9, "tokens": 999}], ids=str)
@pytest.mark.parametrize("after", [{}, {"cost": 0.125, "tokens": 1}], ids=["nothing since", "usage since"])
def test_a_late_settle_after_a_reset_never_breaks_the_books(api, meter, limit, settled, after):
    held = meter.hold(**ASKED)
    meter.advance(60)
    meter.sweep()
    reset(api, limit)
    meter.reported(**after)
    assert meter.settled(held, **settled)["late"] is True
    assert all(used >= 0 and reserved == 0 for used, reserved in meter.stands(limit).values())
    meter.proven()


@pytest.mark.parametrize("since", [{}, {"cost": 0.125, "tokens": 1}], ids=["nothing since", "usage since"])
def test_a_late_release_after_a_reset_never_breaks_the_books(api, meter, limit, clock, since):
    held = meter.hold(**ASKED)
    clock.advance(60)
    meter.sweep()
    reset(api, limit)
    meter.reported(**since)
    meter.released(held)
    assert all(used >= 0 and reserved == 0 for used, reserved in meter.stands(limit).values())
    meter.proven()


@pytest.mark.parametrize("late", ["release", "settle at nothing"])
def test_what_was_used_since_a_reset_is_not_taken_back_with_what_was_used_before(api, meter, limit, clock, late):
    held = meter.hold(cost=1, ttl_seconds=60)
    clock.advance(60)
    meter.sweep()
    reset(api, limit)
    meter.settled(meter.hold(cost=1))
    if late == "release":
        meter.released(held)
    else:
        meter.settled(held, cost=0)
    assert meter.stands(limit)["cost"] == (1, 0)
    meter.denied(cost=1)
    meter.proven()


def test_a_second_reset_changes_nothing_more(api, meter, limit):
    meter.reported(cost=0.25)
    meter.hold(**ASKED)
    reset(api, limit)
    stands = meter.stands(limit)
    reset(api, limit)
    assert meter.stands(limit) == stands
    meter.proven()


def test_after_a_reset_calls_pass_again_up_to_the_limit(api, meter, limit):
    meter.reported(cost=7)
    meter.denied()
    reset(api, limit)
    meter.hold(cost=1)
    meter.denied()


def warnings(api):
    return ok(api.get("/readyz"))["warnings"]


def test_a_counter_far_ahead_of_the_clock_shows_until_a_reset_removes_it(api, meter, clock):
    limit = api.create(budget=dollars(1, "1d"))
    clock.advance(30 * DAY)
    held = meter.hold(cost=0.5, ttl_seconds=DAY)
    meter.reported(cost=0.25)
    clock.advance(-30 * DAY)
    assert "30 days ahead" in warnings(api)[0]
    assert meter.stands(limit) == {"cost": (0.25, 0.5)}
    reset(api, limit)
    assert warnings(api) == []
    budget = ok(api.get(f"model-configs/{limit['id']}"))["model_config"]["budget"]
    assert (budget["last_reset"], budget["current_usage"], budget["reserved"]) == ("2026-11-23T12:00:00Z", 0, 0.5)
    meter.settled(held)
    assert meter.stands(limit) == {"cost": (0.5, 0)}
    meter.proven()


def test_a_reset_removes_it_also_where_there_is_a_counter_of_now(api, meter, clock):
    limit = api.create(budget=dollars(1, "1d"))
    held = meter.hold(cost=0.125, ttl_seconds=DAY)
    clock.advance(30 * DAY)
    meter.hold(cost=0.5, ttl_seconds=DAY)
    clock.advance(-30 * DAY)
    reset(api, limit)
    assert warnings(api) == []
    assert meter.stands(limit) == {"cost": (0, 0.625)}
    meter.released(held)
    assert meter.stands(limit) == {"cost": (0, 0.5)}
    meter.proven()


def test_a_reset_removes_all_of_them_where_the_clock_jumped_more_than_once(api, meter, clock):
    limit = api.create(budget=dollars(1, "1d"))
    for _ in range(2):
        clock.advance(30 * DAY)
        meter.hold(cost=0.25, ttl_seconds=DAY)
    clock.advance(-60 * DAY)
    reset(api, limit)
    assert warnings(api) == []
    assert meter.stands(limit) == {"cost": (0, 0.5)}
    meter.proven()
