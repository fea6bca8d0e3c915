"""Transactions, and the error of a caller that waits too long for one."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from fcntl import LOCK_EX
from pathlib import Path

import pytest
from sqlalchemy import event, select, text, update

from governance.domain.errors import Conflict
from governance.storage import private_files
from governance.storage.sqlite import database as database_module
from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.locks.writer_lock import lock_files, turn_within
from governance.storage.sqlite.paths import WAL, beside
from governance.storage.tables import config_revision
from tests.storage.rows import add, names, read_refused, stored, write, write_refused, writing_elsewhere


def test_two_selects_of_one_read_see_one_state_while_another_connection_commits(database, opened):
    other = opened(database.path)
    with database.read() as connection:
        before = names(connection)
        with other.write() as writing:
            add(writing, "ann")
        assert names(connection) == before == []
    assert stored(database) == ["ann"]


def test_a_write_is_seen_by_nobody_before_it_is_whole(database, opened):
    other = opened(database.path)
    with database.write() as connection:
        add(connection, "ann")
        assert stored(other) == []
        add(connection, "bob")
    assert stored(other) == ["ann", "bob"]


def test_a_write_that_fails_half_way_leaves_nothing_behind(database):
    def fail() -> None:
        with database.write() as connection:
            add(connection, "ann")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stored(database) == []


def test_reads_go_on_while_a_write_is_under_way(database, opened):
    with writing_elsewhere(opened(database.path)):
        assert stored(database) == []


def test_a_write_that_waits_too_long_for_another_of_ours_is_told(database, opened):
    with ThreadPoolExecutor(1) as thread, writing_elsewhere(opened(database.path)):
        waiting = thread.submit(write_refused, database)
        assert "another process holds its lock" in waiting.result(timeout=2)


def test_writes_that_wait_for_each_other_lose_nothing(database, opened):
    def raise_it(_: int) -> None:
        with patient.write() as connection:
            seen = connection.execute(select(config_revision.c.revision)).scalar_one()
            connection.execute(update(config_revision).values(revision=seen + 1))

    patient = opened(database.path, busy_timeout=30)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(raise_it, range(40)))
    with database.read() as connection:
        assert connection.execute(select(config_revision.c.revision)).scalar_one() == 40


def test_a_lock_that_is_held_too_long_is_told_and_the_next_try_succeeds(database):
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "another process holds its lock" in write_refused(database)
        other.execute("ROLLBACK")
    write(database, "ann")
    assert stored(database) == ["ann"]


def test_a_row_that_another_has_just_stored_is_a_conflict(database):
    write(database, "ann")
    with pytest.raises(Conflict):
        write(database, "bob", "ann")
    assert stored(database) == ["ann"]


def test_a_call_that_finds_all_connections_busy_is_told(path, opened):
    database = opened(path, connections=1)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.read())
        assert "all its connections are busy" in read_refused(database)
    assert stored(database) == []


def test_every_connection_keeps_foreign_keys_and_waits_for_the_disk(database):
    with database.read() as first, database.read() as second:
        for connection in (first, second):
            assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
            assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2


def test_a_file_that_cannot_be_opened_is_closed_again(tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.DatabaseError) as refusal:
        open_file(broken, 0.1)
    assert refusal.traceback
    opened = {os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}
    assert str(broken) not in opened


def test_a_close_has_the_writers_turn_and_leaves_no_journal(database):
    write(database, "ann")
    queue, _ = lock_files(database.path)
    taken = []
    with private_files.opened(queue) as descriptor:
        event.listen(database.engine, "close", lambda *_: taken.append(private_files.try_lock(descriptor, LOCK_EX)))
        database.close()
    assert taken == [False]
    assert not beside(database.path, WAL).exists()


def test_a_close_that_gets_no_turn_closes_all_the_same(database, monkeypatch):
    monkeypatch.setattr(database_module, "CLOSING", 0.05)
    write(database, "ann")
    with turn_within(lock_files(database.path), 1):
        database.close()
        assert not beside(database.path, WAL).exists()


def test_a_close_of_a_file_that_was_never_opened_makes_no_file(tmp_path, opened):
    opened(tmp_path / "missing" / "governance.db").close()
    opened(tmp_path / "governance.db").close()
    assert list(tmp_path.iterdir()) == []
