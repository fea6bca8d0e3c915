"""Threads of two workers reserve without a pause while the clock jumps over the ends of windows.

Each window admits exactly its maximum.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from threading import Event
from typing import Any

import pytest
from flask import Flask

from app import create_app
from governance.domain.times import parse_rfc3339
from governance.settings import Settings
from tests.conftest import NOON, Api, FakeClock, database_of, governance_of
from tests.process.service import until
from tests.proofs.oracle import DAY, SECOND, rfc3339

THREADS = 4
"""The number of threads in each of the two workers."""
CAP = 7
MINUTE = 60 * SECOND


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with long timeouts, because only the number of admitted calls is tested."""
    return replace(settings, busy_timeout=20.0)


@pytest.fixture
def workers(app: Flask, settings: Settings, clock: FakeClock) -> Iterator[list[Flask]]:
    """Yield two apps on one file, each with its own snapshot and writer."""
    other = create_app(settings, clock=clock)
    yield [app, other]
    governance_of(other).group.stop()
    database_of(other).engine.dispose()


class Crowd:
    """Threads that reserve without a pause.

    They record the admitted and the denied calls of each window, by the end of the window.
    """

    def __init__(self, workers: list[Flask]) -> None:
        self.workers = workers
        self.admitted: Counter[str] = Counter()
        self.denied: Counter[str] = Counter()
        self.misplaced: list[Any] = []
        self._stopped = Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        with ThreadPoolExecutor(len(self.workers) * THREADS) as pool:
            running = [pool.submit(self._ask, worker) for worker in self.workers for _ in range(THREADS)]
            try:
                yield
            finally:
                self._stopped.set()
            for each in running:
                for answer in each.result():
                    self._count(answer)

    def _ask(self, worker: Flask) -> list[Any]:
        api, answers = Api(worker.test_client()), []
        while not self._stopped.is_set():
            reply = api.post("reservations", {"model": "gpt-4o", "cost": 0.01})
            answers.append(reply.get_json())
            assert reply.status_code in {200, 402, 429}, reply.text
            if reply.status_code != 200:
                for violation in answers[-1]["extra_fields"]["violations"]:
                    self.denied[violation["resets_at"]] += 1
        return answers

    def _count(self, answer: dict[str, Any]) -> None:
        if answer.get("decision") == "allow":
            (end,) = {rule["resets_at"] for rule in answer["limits"]}
            self.admitted[end] += 1
            if answer["reservation"]["created_at"] >= end:
                self.misplaced.append(answer)

    def is_refused_until(self, end: str) -> Callable[[], bool]:
        """Return a function that returns whether the window with this end has refused every thread since now."""
        before = self.denied[end]
        return lambda: self.denied[end] >= before + 2 * len(self.workers) * THREADS


def both(duration: str) -> dict[str, Any]:
    """Return a budget and a limit on requests with the same window, and with the same cap in cents and in requests."""
    rate = {"request_max_limit": CAP, "request_reset_duration": duration}
    return {"budgets": [{"max_limit": CAP / 100, "reset_duration": duration}], "rate_limits": [rate]}


def cross(crowd: Crowd, clock: FakeClock, starts: list[int]) -> None:
    """Jump to the first, a middle and the last instant of each window.

    Leave each window only when it admits no more calls.
    """
    for start, end in pairwise(starts):
        for instant in (start, (start + end) // 2, end - 1):
            clock.now = instant
            until(crowd.is_refused_until(rfc3339(end)))


def assert_each_admitted_its_cap(crowd: Crowd, workers: list[Flask], ends: list[int]) -> None:
    assert crowd.admitted == Counter({rfc3339(end): CAP for end in ends})
    assert crowd.misplaced == []
    with database_of(workers[0]).read() as connection:
        rows = connection.exec_driver_sql("SELECT window_end, metric, used, reserved FROM counters").all()
    cents = {"cost": CAP * 10**7, "requests": CAP}
    assert {tuple(row) for row in rows} == {(end, metric, 0, most) for end in ends for metric, most in cents.items()}
    assert governance_of(workers[1]).verification.verify() == (2 * len(ends), [])


def test_each_rolling_minute_admits_exactly_its_cap(api: Api, workers: list[Flask], clock: FakeClock) -> None:
    api.create("gpt-4o", **both("1m"))
    crowd = Crowd(workers)
    starts = [NOON + minute * MINUTE for minute in range(21)]
    with crowd.asking():
        cross(crowd, clock, starts)
    assert_each_admitted_its_cap(crowd, workers, starts[1:])


def test_minutes_in_which_nobody_asked_leave_nothing_over(api: Api, workers: list[Flask], clock: FakeClock) -> None:
    api.create("gpt-4o", **both("1m"))
    crowd = Crowd(workers)
    begun = [NOON + minute * MINUTE for minute in (0, 1, 5, 6, 90, 100_000)]
    with crowd.asking():
        for start in begun:
            cross(crowd, clock, [start, start + MINUTE])
    assert_each_admitted_its_cap(crowd, workers, [start + MINUTE for start in begun])


DAYS = {
    "25 hours in Berlin": (
        "Europe/Berlin",
        ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"],
    ),
    "23 hours in Berlin": (
        "Europe/Berlin",
        ["2027-03-26T23:00:00Z", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z", "2027-03-29T22:00:00Z"],
    ),
    "no midnight in Cairo": (
        "Africa/Cairo",
        ["2027-04-28T22:00:00Z", "2027-04-29T22:00:00Z", "2027-04-30T21:00:00Z", "2027-05-01T21:00:00Z"],
    ),
    "two midnights in Havana": (
        "America/Havana",
        ["2026-10-30T04:00:00Z", "2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"],
    ),
}
"""Consecutive days, given by their first instants."""


@pytest.mark.parametrize(("zone", "firsts"), DAYS.values(), ids=DAYS)
def test_each_calendar_day_admits_exactly_its_cap(
    api: Api, workers: list[Flask], clock: FakeClock, zone: str, firsts: list[str]
) -> None:
    starts = [parse_rfc3339(first) for first in firsts]
    clock.now = starts[0] - DAY // 3
    api.create("gpt-4o", calendar_aligned=True, timezone=zone, **both("1d"))
    clock.now = starts[0]
    crowd = Crowd(workers)
    with crowd.asking():
        cross(crowd, clock, starts)
    assert_each_admitted_its_cap(crowd, workers, starts[1:])


def test_a_clock_that_steps_back_over_ends_opens_no_window_again(
    api: Api, workers: list[Flask], clock: FakeClock
) -> None:
    api.create("gpt-4o", **both("1m"))
    crowd = Crowd(workers)
    newest = NOON + 3 * MINUTE
    with crowd.asking():
        cross(crowd, clock, [NOON, NOON + MINUTE])
        for instant in (NOON + 2 * MINUTE, NOON, NOON + 2 * MINUTE - 1, NOON - 100 * DAY, newest - 1):
            clock.now = instant
            until(crowd.is_refused_until(rfc3339(newest)))
        cross(crowd, clock, [newest, newest + MINUTE])
    assert_each_admitted_its_cap(crowd, workers, [NOON + MINUTE, newest, newest + MINUTE])


def test_usage_written_while_the_clock_was_back_reaches_the_memory_of_a_worker_that_did_not_poll_then(
    api: Api, workers: list[Flask], clock: FakeClock
) -> None:
    limit = api.create("gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1M"}])
    clock.advance(3600)
    other = workers[1]
    governance_of(other).cache.refresh()
    clock.advance(-3600)
    assert api.post("usage", {"model": "gpt-4o", "cost": 0.25}).status_code == 200
    clock.advance(3601)
    governance_of(other).cache.refresh()
    (shown,) = Api(other.test_client()).list(memory=True)["model_configs"]
    assert (shown["id"], shown["budget"]["current_usage"]) == (limit["id"], 0.25)


HOUR = 3600


def test_a_charge_after_a_reset_is_taken_back_though_the_clock_was_set_back_in_between(
    api: Api, workers: list[Flask], clock: FakeClock
) -> None:
    limit = api.create("gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1M"}])
    clock.advance(HOUR)
    assert api.post("usage", {"model": "gpt-4o", "cost": 0.25}).status_code == 200
    assert api.put(f"model-configs/{limit['id']}", {"reset_usage": True}).status_code == 200
    clock.advance(-HOUR / 2)
    held = lapsed(api, workers, clock)
    assert used(api, limit) == 1
    assert api.post(f"reservations/{held}/release").status_code == 200
    assert used(api, limit) == 0


def test_a_charge_before_a_reset_is_forgiven_once_though_the_clock_was_set_back_in_between(
    api: Api, workers: list[Flask], clock: FakeClock
) -> None:
    limit = api.create("gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1M"}])
    clock.advance(HOUR)
    held = lapsed(api, workers, clock)
    clock.advance(-HOUR / 2)
    assert api.put(f"model-configs/{limit['id']}", {"reset_usage": True}).status_code == 200
    assert api.post("usage", {"model": "gpt-4o", "cost": 1}).status_code == 200
    assert api.post(f"reservations/{held}/release").status_code == 200
    # the dollar admits a second reservation
    assert used(api, limit) == 1
    assert api.post("reservations", {"model": "gpt-4o", "cost": 1}).status_code == 402


def lapsed(api: Api, workers: list[Flask], clock: FakeClock) -> str:
    """Create a reservation of a dollar that is not settled in time."""
    reply = api.post("reservations", {"model": "gpt-4o", "cost": 1, "ttl_seconds": 60})
    assert reply.status_code == 200, reply.text
    clock.advance(60)
    assert governance_of(workers[1]).reservations.sweep() == 1
    return str(reply.get_json()["reservation"]["id"])


def used(api: Api, limit: dict[str, Any]) -> float:
    return float(api.get(f"model-configs/{limit['id']}").get_json()["model_config"]["budget"]["current_usage"])
