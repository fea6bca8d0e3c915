"""After any end of the writer thread, its callers get an error, and the thread starts again."""

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from time import monotonic

import pytest

from governance.domain.errors import Unavailable
from governance.storage.sqlite.writer import group_commit
from governance.storage.sqlite.writer.group_commit import CUT_OFF, ENDED, MAYBE_DONE, NOT_DONE, GroupCommit
from tests.storage.sqlite.writer.test_group_commit import kept, reservation
from tests.storage.stored import NOON

WAITED = 20


class KilledError(BaseException):
    """An error that no exception handler catches."""


class Queue(SimpleQueue):
    """A queue that ends the thread that reads it, when the test says so."""

    broken = False

    def get(self, *args, **kwargs):
        if self.broken:
            raise KilledError
        return super().get(*args, **kwargs)


@pytest.fixture
def group(path):
    made = GroupCommit(path, WAITED, lambda: NOON)
    made._queue = Queue()
    yield made
    made._queue.broken = False
    made.stop()


def stored(group, key):
    return group.submit(lambda work: work.add(reservation(key), []))


def refusal(call):
    with pytest.raises(Unavailable) as told:
        call()
    assert told.value.retry_after == 1
    return told.value.message


def ended(group):
    group._thread.join(WAITED)
    return not group._thread.is_alive()


def test_thread_that_ends_between_batches_refuses_who_waits_at_once(group, path, heard):
    begun, go_on = Event(), Event()

    def last(work):
        work.add(reservation("last"), [])
        begun.set()
        assert go_on.wait(WAITED)
        group._queue.broken = True

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(group.submit, last)
        assert begun.wait(WAITED)
        waiting = [pool.submit(stored, group, f"waiting {number}") for number in range(3)]
        while group._queue.qsize() < 3:
            assert not first.done()
        began = monotonic()
        go_on.set()
        assert first.result() is None
        assert [refusal(each.result) for each in waiting] == [ENDED] * 3
        assert monotonic() - began < WAITED / 2
    assert ended(group)
    assert "the writer thread ended in a way that nobody foresaw" in heard()
    assert kept(path) == ["last"]
    group._queue.broken = False
    stored(group, "after")
    assert kept(path) == ["after", "last"]


def test_thread_that_ends_before_its_callers_are_woken_wakes_them(group, path, monkeypatch):
    stored(group, "before")

    def kill(*_):
        raise KilledError

    with monkeypatch.context() as broken, ThreadPoolExecutor(4) as pool:
        broken.setattr(group_commit, "end_all", kill)
        calls = [pool.submit(stored, group, f"mid {number}") for number in range(4)]
        assert {refusal(call.result) for call in calls} <= {MAYBE_DONE, ENDED}
    assert ended(group)
    before = len(kept(path))
    stored(group, "after")
    assert len(kept(path)) == before + 1


def test_act_that_ends_the_batch_leaves_nothing_and_tells_its_callers(group, path):
    def kill(work):
        work.add(reservation("half"), [])
        raise KilledError

    assert refusal(lambda: group.submit(kill)) == CUT_OFF
    assert kept(path) == []
    stored(group, "after")
    assert kept(path) == ["after"]


def test_end_after_the_commit_is_told_as_one_that_may_be_done(group, path):
    def kill(_):
        raise KilledError

    assert refusal(lambda: group.submit_then(lambda work: work.add(reservation("done"), []), kill)) == MAYBE_DONE
    assert kept(path) == ["done"]


def test_caller_of_a_thread_that_cannot_stay_alive_is_told_at_its_deadline(group, monkeypatch):
    group._queue.broken = True
    began = monotonic()
    sentence = refusal(lambda: group.submit(lambda _: None, monotonic() + 1.5))
    assert sentence in (ENDED, NOT_DONE)
    assert monotonic() - began < 10


def test_fault_tells_of_the_thread_as_long_as_it_is_down(group):
    stored(group, "before")
    group._queue.broken = True
    refusal(lambda: group.submit(lambda _: group._queue.get(), monotonic() + 1))
    assert ended(group)
    for _ in range(3):
        assert group.fault() == ENDED
        assert ended(group)
    group._queue.broken = False
    assert group.fault() == ENDED
    assert group.fault() is None
    stored(group, "after")


def test_thread_that_ended_is_started_again_without_a_caller(group):
    stored(group, "before")
    group._queue.broken = True
    refusal(lambda: group.submit(lambda _: group._queue.get(), monotonic() + 1))
    assert ended(group)
    group._queue.broken = False
    group.look_after()
    assert group._thread.is_alive()


def test_stop_of_a_thread_that_has_ended_leaves_the_next_one_alone(group, path):
    stored(group, "before")
    group._queue.broken = True
    refusal(lambda: group.submit(lambda _: group._queue.get(), monotonic() + 1))
    assert ended(group)
    group._queue.broken = False
    group.stop()
    stored(group, "after")
    assert kept(path) == ["after", "before"]
