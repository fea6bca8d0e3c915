"""The clock jumps ahead for a minute (docs/contract.md §6). No reservation expires, and no response is dropped."""

import pytest

from app import create_app
from tests.conftest import Api
from tests.metering.conftest import DAY, Meter, dollars, stop

POLL = 5
KEY = {"Idempotency-Key": "key"}


class Time:
    """A clock that the test lets jump, and the timer that shows the jump."""

    def __init__(self, clock):
        self.clock = clock
        self.seconds = 0.0

    def timer(self):
        return self.seconds

    def pass_by(self, seconds):
        self.seconds += seconds
        self.clock.advance(seconds)


@pytest.fixture
def time(clock):
    return Time(clock)


@pytest.fixture
def app(settings, clock, time):
    """Return the app with a timer of its own. The app has polled twice."""
    made = create_app(settings, clock=clock, timer=time.timer)
    yield made
    stop(made)


@pytest.fixture
def meter(app, clock, time):
    """Return a gateway of a service that has run for two minutes."""
    made = Meter(Api(app.test_client()), clock)
    made.api.create(budget=dollars(10, "1M"))
    for _ in range(24):
        poll(made, time)
    return made


def poll(meter, time):
    time.pass_by(POLL)
    meter.poll()


def test_no_hold_expires_until_the_clock_has_been_there_for_a_poll(meter, clock, time):
    held = meter.hold(cost=1, ttl_seconds=600)
    clock.advance(DAY)
    poll(meter, time)
    assert meter.read(held)["status"] == "open"
    clock.advance(-DAY)
    for _ in range(3):
        poll(meter, time)
    assert meter.settled(held, cost=2)["late"] is False


def test_a_clock_that_stays_ahead_is_believed_and_holds_expire(meter, clock, time):
    held = meter.hold(cost=1, ttl_seconds=600)
    clock.advance(DAY)
    for _ in range(3):
        poll(meter, time)
    assert meter.read(held)["status"] == "expired"


@pytest.mark.parametrize("days", [1, 2, 400])
def test_a_jump_of_a_minute_drops_no_answer_and_a_repeat_during_it_gives_the_first(meter, clock, time, days):
    first = meter.report(cost=1, headers=KEY)
    clock.advance(days * DAY + 1)
    for _ in range(11):
        poll(meter, time)
        again = meter.report(cost=1, headers=KEY)
        assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
    clock.advance(-days * DAY - 1)
    for _ in range(24):
        poll(meter, time)
    assert meter.report(cost=1, headers=KEY).headers["Idempotent-Replayed"] == "true"
    assert len(meter.dump()["reservations"]) == 1


def test_a_clock_that_stays_ahead_drops_what_has_become_old(meter, clock, time):
    meter.reported(cost=1, headers=KEY)
    clock.advance(2 * DAY)
    for _ in range(40):
        poll(meter, time)
    assert meter.dump()["answers"] == []
    assert "Idempotent-Replayed" not in meter.report(cost=1, headers=KEY).headers


def test_nothing_expires_by_a_clock_that_was_ahead_when_the_service_started(settings, clock, meter):
    held = meter.hold(cost=1, ttl_seconds=600)
    clock.advance(DAY)
    started = create_app(settings, clock=clock, timer=lambda: 0.0)
    Meter(Api(started.test_client()), clock).poll()
    clock.advance(-DAY)
    assert meter.read(held)["status"] == "open"
    stop(started)
