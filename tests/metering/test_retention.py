"""Old rows are deleted: ended reservations with their ledger, closed counters, stored responses. The sums stay."""

import pytest
from sqlalchemy import func, select

from governance.storage.tables import answers, counters, ledger, reservations
from tests.metering.conftest import DAY, dollars, requests, tokens

ONE_DAY = {"retention_days": 1}
one_day = pytest.mark.parametrize("options", [ONE_DAY], ids=["one day"])


@pytest.fixture
def rows(database):
    """Return the number of rows of a table."""

    def count(table):
        with database.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    return count


@pytest.fixture
def later(meter, clock):
    """Let days pass, and poll."""

    def pass_by(days):
        clock.advance(days * DAY)
        meter.poll()

    return pass_by


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(100, "1M"), rate_limit=tokens(1000, "1M") | requests(50, "1M"))


def test_ended_reservations_and_reports_leave_and_every_sum_stays(api, meter, limit, later, rows):
    meter.settled(meter.hold(cost=1, tokens=10), cost=2)
    meter.released(meter.hold(cost=4, tokens=20))
    meter.hold(cost=8, tokens=40)
    meter.reported(cost=16, tokens=80, requests=3)
    stands = {"cost": (26, 0), "tokens": (130, 0), "requests": (5, 0)}
    later(1)
    assert meter.stands(limit) == stands
    assert (rows(reservations), rows(ledger)) == (4, 12)
    later(6.1)
    assert (rows(reservations), rows(ledger), rows(counters)) == (1, 3, 3)  # one reservation expired a day later
    later(1)
    assert (rows(reservations), rows(ledger), rows(counters)) == (0, 0, 3)
    assert meter.stands(limit) == stands
    assert api.list() == api.list(memory=True)
    assert meter.proven() == 3
    meter.reported(cost=32)
    assert meter.stands(limit)["cost"] == (58, 0)
    assert meter.proven() == 3


def test_they_stay_as_long_as_the_setting_says_and_no_longer(meter, limit, later):
    held = meter.hold(cost=1, ttl_seconds=60)
    meter.settled(held, cost=0.5)
    later(7)
    assert meter.read(held)["status"] == "settled"
    assert meter.settled(held)["cost"]["used"] == 0.5
    later(0.001)
    assert meter.api.get(f"reservations/{held}").status_code == 404
    assert meter.settle(held).status_code == 404
    meter.proven()


@one_day
def test_the_setting_is_in_days(meter, limit, later, rows):
    meter.reported(cost=1)
    later(1)
    assert rows(reservations) == 1
    later(0.001)
    assert rows(reservations) == 0


def test_an_expired_reservation_can_be_corrected_as_long_as_it_stays(meter, limit, later):
    held = meter.hold(cost=1, ttl_seconds=60)
    later(6.9)
    assert meter.stands(limit)["cost"] == (1, 0)
    assert meter.settled(held, cost=3)["late"] is True
    later(1)
    assert meter.stands(limit)["cost"] == (3, 0)
    meter.proven()


def test_an_open_reservation_never_leaves_and_settles_in_its_counter(meter, api, later, rows):
    limit = api.create("o3", budget=dollars(100, "1M"))
    held = meter.hold("o3", cost=4)
    for _ in range(10):
        meter.reported("o3", cost=1)
        meter.extended(held, DAY)
        later(0.9)
    assert meter.stands(limit) == {"cost": (10, 4)}
    assert rows(reservations) < 11
    meter.proven()
    assert meter.settled(held, cost=2)["late"] is False
    assert meter.stands(limit) == {"cost": (12, 0)}
    meter.proven()


def test_what_ended_a_moment_ago_stays_though_it_began_long_ago(meter, limit, later, clock):
    held = meter.hold(cost=1, ttl_seconds=DAY)
    for _ in range(9):
        later(0.9)
        meter.extended(held, DAY)
    first = meter.settle(held, {"cost": 2})
    later(0.001)
    assert meter.settle(held, {"cost": 2}).data == first.data


@one_day
def test_what_expires_after_a_day_can_be_settled_late_for_another_day(meter, limit, later):
    held = meter.hold(cost=1, ttl_seconds=DAY)
    later(1.001)
    assert meter.settled(held, cost=3)["late"] is True


def test_one_poll_folds_all_however_many_there_are(meter, limit, later, rows):
    for number in range(450):
        meter.reported(cost=0.01, requests=number % 2)
    later(8)
    assert (rows(reservations), rows(ledger)) == (0, 0)
    assert meter.stands(limit)["cost"] == (4.5, 0)
    assert meter.stands(limit)["requests"] == (225, 0)
    meter.proven()


def test_old_and_young_rows_of_one_counter_add_up(meter, limit, later, rows):
    for _ in range(10):
        meter.reported(cost=1)
        later(1)
    assert rows(reservations) in (7, 8)
    assert meter.stands(limit)["cost"] == (10, 0)
    meter.proven()


def test_a_reset_and_a_fold_go_together(api, meter, limit, later):
    meter.reported(cost=5)
    api.put(f"model-configs/{limit['id']}", {"reset_usage": True})
    meter.reported(cost=2)
    later(8)
    assert meter.stands(limit)["cost"] == (2, 0)
    meter.proven()
    api.put(f"model-configs/{limit['id']}", {"reset_usage": True})
    assert meter.stands(limit)["cost"] == (0, 0)
    meter.proven()


@pytest.mark.parametrize("kept", [("1h", 7), ("1d", 400)])
def test_closed_counters_stay_for_their_time_and_then_leave(meter, api, later, rows, kept):
    duration, days = kept
    limit = api.create("o3", budget=dollars(1, duration))
    meter.reported("o3", cost=0.5)
    later(days)
    assert rows(counters) == 1
    later(1.05)
    assert rows(counters) == 0
    assert meter.stands(limit) == {"cost": (0, 0)}
    assert api.list() == api.list(memory=True)
    assert meter.proven() == 0


def test_a_counter_whose_window_is_current_never_leaves(meter, api, later, rows):
    limit = api.create("o3", budget=dollars(1, "1Y"))
    meter.reported("o3", cost=0.5)
    later(364)
    assert rows(counters) == 1
    assert meter.stands(limit) == {"cost": (0.5, 0)}
    meter.denied("o3", cost=0.6)


def test_a_closed_counter_stays_while_an_open_reservation_holds_of_it(meter, api, clock, rows):
    api.create("o3", budget=dollars(1, "1h"))
    held = meter.hold("o3", cost=0.5, ttl_seconds=DAY)
    for _ in range(100):
        clock.advance(DAY - 1)
        meter.extended(held, DAY)
    meter.poll()
    assert rows(counters) == 1
    meter.settled(held, cost=0.75)
    meter.proven()


@pytest.mark.parametrize("path", ["reservations", "usage"])
def test_kept_answers_leave_after_24_hours(api, later, rows, path):
    api.post(path, {"model": "m"}, headers={"Idempotency-Key": "one"})
    later(1)
    assert rows(answers) == 1
    later(0.001)
    assert rows(answers) == 0


def test_rows_of_a_deleted_limit_leave_with_their_reservation(api, meter, limit, later, rows):
    meter.reported(cost=1)
    api.delete(f"model-configs/{limit['id']}")
    assert rows(counters) == 0
    later(8)
    assert (rows(reservations), rows(ledger)) == (0, 0)
    meter.proven()


def test_a_poll_within_the_minute_does_not_look_again(meter, limit, clock, rows):
    meter.reported(cost=1)
    clock.advance(7 * DAY)
    meter.poll()
    clock.advance(59)
    meter.poll()
    assert rows(reservations) == 1
    clock.advance(1)
    meter.poll()
    assert rows(reservations) == 0


def test_pruning_twice_changes_nothing(meter, limit, later):
    meter.reported(cost=1)
    later(8)
    before = meter.dump()
    later(1)
    assert meter.dump() == before
