"""The writer thread: the function `then` on results, and files that replace the database."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from time import monotonic

import pytest

from governance.domain.errors import Unavailable
from governance.domain.metering.reservation import Reservation, Status
from governance.storage.sqlite.writer import group_commit
from governance.storage.sqlite.writer.group_commit import GroupCommit
from tests.storage.stored import NOON


def reservation(reservation_id):
    """Return a reservation without rules."""
    return Reservation(
        reservation_id, Status.OPEN, "m", None, None, None, 1, 0, 0, 0, 0, NOON, NOON + 1, None, late=False
    )


@pytest.fixture
def group(path):
    made = GroupCommit(path, 0.5, lambda: NOON)
    yield made
    made.stop()


def use(group, key):
    """Let the writer write a row, so that its connection is open."""
    group.submit(lambda batch: batch.add(reservation(key), []))


def test_a_file_in_the_place_of_the_old_one_is_refused_as_long_as_the_old_journal_lies_there(group, path):
    use(group, "before")
    copy = path.with_name("backup.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    use(group, "later")
    copy.replace(path)
    for _ in range(3):
        with pytest.raises(Unavailable, match="remove governance"):
            use(group, "mixed")
    for left in ("governance.db-wal", "governance.db-shm"):
        path.with_name(left).unlink()
    use(group, "after")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM reservations ORDER BY id").fetchall() == [("after",), ("before",)]


def test_a_file_that_came_back_is_used_again(group, path, template):
    use(group, "before")
    path.unlink()
    with pytest.raises(Unavailable):
        use(group, "lost")
    for left in ("governance.db-wal", "governance.db-shm"):
        path.with_name(left).unlink(missing_ok=True)
    shutil.copy(template, path)
    use(group, "after")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM reservations ORDER BY id").fetchall() == [("after",)]


def kept(path):
    with closing(sqlite3.connect(path)) as connection:
        return [key for (key,) in connection.execute("SELECT id FROM reservations ORDER BY id")]


def test_what_is_made_of_a_result_is_made_once_it_is_on_the_disk(group, path):
    def act(batch):
        batch.add(reservation("one"), [])
        return kept(path)

    assert group.submit_then(act, lambda before: (before, kept(path))) == ([], ["one"])


def test_a_mistake_in_what_is_made_of_a_result_is_its_own_callers_alone(group, path):
    def mistaken(_):
        raise KeyError("mistake")

    with ThreadPoolExecutor(8) as pool:
        good = [pool.submit(use, group, f"good-{number}") for number in range(7)]
        bad = pool.submit(group.submit_then, lambda batch: batch.add(reservation("bad"), []), mistaken)
        assert [each.result() for each in good] == [None] * 7
        with pytest.raises(KeyError, match="mistake"):
            bad.result()
    assert kept(path) == ["bad", *(f"good-{number}" for number in range(7))]
    assert group.submit(lambda _: "it goes on") == "it goes on"


def test_nothing_is_made_of_a_result_that_is_not_on_the_disk(group, path):
    made = []
    group.submit(lambda _: None)
    path.unlink()
    with pytest.raises(Unavailable):
        group.submit_then(lambda _: 1, made.append)
    assert made == []


@pytest.fixture
def together(group, monkeypatch):
    """Return a function that starts three callers at once, after three that came together.

    It returns the batches of their acts.
    """
    monkeypatch.setattr(group_commit, "GATHERING", 20)

    def call(pool):
        return [pool.submit(group.submit, lambda batch: batch) for _ in range(3)]

    def run():
        begun, all_queued = Event(), Event()
        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(group.submit, lambda _: (begun.set(), all_queued.wait(20)))
            assert begun.wait(20)
            waiting = call(pool)
            while group._queue.qsize() < 3:
                assert not first.done()
            all_queued.set()
            assert len({id(each.result()) for each in waiting}) == 1
            return [each.result() for each in call(pool)]

    return run


def test_who_came_together_comes_into_one_batch_again(together):
    assert len(set(map(id, together()))) == 1


def test_who_does_not_come_again_is_not_waited_for_twice(group, together, monkeypatch):
    together()
    monkeypatch.setattr(group_commit, "GATHERING", 0.001)
    use(group, "alone")
    monkeypatch.setattr(group_commit, "GATHERING", 20)
    began = monotonic()
    for number in range(5):
        use(group, f"alone {number}")
    assert monotonic() - began < 10
