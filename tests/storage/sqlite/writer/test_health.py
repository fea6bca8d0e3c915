"""Whether decisions can be written: from the results of the last batches, or from a probe if there were none lately."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from governance.domain.errors import Unavailable
from governance.storage.sqlite.writer.health import OverdueError, WriteProbe, WriterHealth

FULL = Unavailable("The disk is full.")


class Timer:
    """A timer in seconds. Only the test moves it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Attempts:
    """Probes. Each raises the given error, or succeeds for None."""

    def __init__(self, fate):
        self.fate = fate
        self.number = 0
        self.error = None

    def __call__(self, until):
        self.number += 1
        if self.error is not None:
            raise self.error
        self.fate.written(for_callers=False)


@pytest.fixture
def timer():
    return Timer()


@pytest.fixture
def fate(timer):
    return WriterHealth(timer)


@pytest.fixture
def attempts(fate):
    return Attempts(fate)


@pytest.fixture
def probe(fate, attempts, timer):
    return WriteProbe(fate, attempts, timer)


def test_while_batches_are_written_nothing_is_tried(probe, fate, attempts):
    fate.written(for_callers=True)
    assert probe.fault() is None
    assert attempts.number == 0


def test_many_questions_make_few_attempts(probe, attempts, timer):
    for error in (None, FULL):
        attempts.error = error
        timer.now += 100
        before = attempts.number
        assert [probe.fault() for _ in range(50)] == [error and error.message] * 50
        assert attempts.number == before + 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FULL, FULL.message),
        (OverdueError("late"), "Try again shortly: nothing can be written, another process or the disk keeps"),
        (ZeroDivisionError(), "Look into the log"),
    ],
)
def test_an_attempt_that_fails_is_the_reason(probe, attempts, error, sentence):
    attempts.error = error
    assert probe.fault().startswith(sentence)


def test_a_batch_that_failed_counts_for_a_while_also_where_an_attempt_works(probe, fate, timer):
    fate.failed(FULL, sqlite3.OperationalError())
    assert probe.fault() == FULL.message
    timer.now += 9.9
    fate.written(for_callers=False)
    assert probe.fault() == FULL.message
    timer.now += 0.2
    assert probe.fault() is None


def test_a_batch_of_callers_makes_up_for_one_that_failed(probe, fate):
    fate.failed(FULL, sqlite3.OperationalError())
    fate.written(for_callers=True)
    assert probe.fault() is None


def test_damage_counts_until_a_batch_of_callers_is_written(probe, fate, timer):
    damage = sqlite3.DatabaseError("malformed")
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT | 1 << 8
    fate.failed(Unavailable("It is corrupt."), damage)
    timer.now += 10_000
    assert probe.fault() == "It is corrupt."
    fate.written(for_callers=True)
    assert probe.fault() is None


def test_who_asks_while_an_attempt_is_stuck_is_answered_all_the_same(fate):
    begun, release = Event(), Event()
    probe = WriteProbe(fate, lambda _: (begun.set(), release.wait(20)))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(probe.fault)
        assert begun.wait(10)
        assert probe.fault().startswith("Try again shortly: nothing can be written")
        release.set()
        assert first.result() is None
