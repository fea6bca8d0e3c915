"""Threads that wait for a stuck writer: at most half of all threads, and none after its deadline."""

import fcntl
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event
from time import monotonic

import pytest

from governance.domain.deadlines import note_arrival
from governance.domain.errors import Unavailable
from governance.storage.sqlite.locks.lock_holders import StoppedHolders, holders, is_stopped
from governance.storage.sqlite.locks.progress import WriterProgress
from governance.storage.sqlite.writer import group_commit
from governance.storage.sqlite.writer.group_commit import GroupCommit
from governance.storage.sqlite.writer.waiting import WaitingAct, end_all
from tests.process.service import until
from tests.storage.stored import NOON

THREADS = 4


class Timer:
    """A timer in seconds. Only the test moves it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def timer():
    return Timer()


@pytest.fixture
def progress(timer):
    return WriterProgress(THREADS, timer)


@contextmanager
def callers(progress, number):
    """Start this many waiting threads."""
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(progress)
        yield


def test_a_burst_waits_as_long_as_something_is_written(progress, timer):
    with callers(progress, 100):
        for _ in range(20):
            timer.now += 0.9
            progress.advanced()
            assert not progress.is_crowded()


def test_after_a_second_without_a_write_only_half_of_the_threads_may_wait(progress, timer):
    with callers(progress, 3):
        timer.now += 0.99
        assert not progress.is_crowded()
        timer.now += 0.02
        assert progress.is_crowded()
        with pytest.raises(Unavailable, match="nothing could be written for 1 s"), progress:
            pass
    with callers(progress, 2):
        timer.now += 10
        assert not progress.is_crowded()
        with pytest.raises(Unavailable), progress:
            pass


def test_a_pause_in_which_nobody_waited_is_no_standstill(progress, timer):
    timer.now += 1000
    with callers(progress, 3):
        assert not progress.is_crowded()
        assert progress.stalled() == 0


def test_one_caller_may_always_wait(timer):
    progress = WriterProgress(1, timer)
    with progress:
        timer.now += 10
        assert not progress.is_crowded()


def test_who_has_left_is_passed_over_when_the_others_are_woken():
    together = [WaitingAct(lambda _: None, lambda each: each) for _ in range(5)]
    for each in together:
        assert each.take()
    for number in (0, 2, 3):
        assert together[number].leave()
        assert not together[number].given_up
    end_all(together, None)
    assert together[1].wait(0)
    assert together[4].wait(0)


def test_an_act_that_was_given_up_is_not_done():
    waiting = WaitingAct(lambda _: None, lambda each: each)
    assert waiting.leave()
    assert waiting.given_up
    assert not waiting.take()


def test_who_leaves_as_the_act_ends_is_told_what_came_of_it():
    waiting = WaitingAct(lambda _: None, lambda each: each)
    assert waiting.take()
    end_all([waiting], None)
    assert not waiting.leave()
    assert waiting.wait(0)


@pytest.fixture
def stuck(path):
    """Yield a writer that cannot get the lock. After the test, the writer must work again."""
    group = GroupCommit(path, 3.0, lambda: NOON, progress=WriterProgress(THREADS))
    with path.with_name("governance.db.queue").open("a") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        yield group
    assert group.submit(lambda _: "it goes on") == "it goes on"
    group.stop()


def timed(group):
    """Return how long a caller waited, and its error."""
    began = monotonic()
    with pytest.raises(Unavailable) as refusal:
        group.submit(lambda batch: batch.keep(("", "", "no"), b"", b"", ()))
    return monotonic() - began, refusal.value


def test_of_callers_that_wait_for_a_stuck_writer_half_are_refused_after_a_second_and_more_at_once(stuck):
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(timed, stuck) for _ in range(8)]
        early = sorted(each.result()[0] for each in waiting[:8])
        assert all(seconds < 2.5 for seconds in early[:6])
        assert all(2.9 < seconds < 3.5 for seconds in early[6:])


def test_a_caller_that_comes_while_enough_wait_is_refused_at_once(stuck):
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(timed, stuck) for _ in range(2)]
        until(lambda: stuck._progress.stalled() > 1)
        seconds, refusal = timed(stuck)
        assert seconds < 0.5
        assert refusal.retry_after == 1
        assert all(each.result()[0] < 3.5 for each in waiting)


def test_time_before_a_thread_took_the_call_counts_toward_its_deadline(stuck, database):
    try:
        note_arrival(monotonic() - 2.8)
        assert timed(stuck)[0] < 0.5
        assert stuck.deadline() - monotonic() < 0.2
        before = database.deadline()
        note_arrival(None)
        assert database.deadline() > before
    finally:
        note_arrival(None)


def test_a_caller_whose_act_is_under_way_is_told_that_it_may_be_counted(path, monkeypatch):
    monkeypatch.setattr(group_commit, "GATHERING", 0)
    group, release = GroupCommit(path, 0.3, lambda: NOON), Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(group.submit, lambda batch: (batch.keep(("", "", "slow"), b"", b"", ()), release.wait(20)))
        assert "it may still be" in slow.exception(5).message
        release.set()
        assert group.submit(lambda batch: batch.answer(("", "", "slow"), 0)) == (b"", b"")
    group.stop()


STOPS_ITSELF = """
import fcntl, os, signal, sys
queue = open(sys.argv[1], "a")
fcntl.flock(queue, fcntl.LOCK_EX)
print("held", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def stopped(tmp_path):
    """Yield a file, and a process that was stopped while it held the file's lock.

    The process ends when it is continued.
    """
    file = tmp_path / "governance.db.queue"
    process = subprocess.Popen([sys.executable, "-c", STOPS_ITSELF, str(file)], stdout=subprocess.PIPE)
    process.stdout.readline()
    until(lambda: is_stopped(process.pid))
    yield file, process
    process.kill()
    process.communicate()


def test_the_kernel_tells_who_holds_a_lock(stopped, tmp_path):
    file, process = stopped
    assert holders(file) == [process.pid]
    assert holders(tmp_path / "nothing") == []


def test_a_stopped_holder_is_continued_once_it_was_seen_stopped_twice(stopped, timer):
    file, process = stopped
    watch = StoppedHolders(file, timer=timer)
    for later in (0, 0.5, 0.4):
        timer.now += later
        watch.look()
        assert is_stopped(process.pid)
    timer.now += 0.2
    watch.look()
    assert process.wait(10) == 0


def test_a_stopped_process_that_holds_nothing_is_left_alone(tmp_path, timer):
    process = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 19)"])
    until(lambda: is_stopped(process.pid))
    watch = StoppedHolders(tmp_path / "governance.db.queue", timer=timer)
    for _ in range(3):
        timer.now += 1
        watch.look()
    assert is_stopped(process.pid)
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(10) == 0
