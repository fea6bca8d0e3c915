"""What a transaction is, and what a caller is told where there can be none."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, func, insert, select, text, update
from sqlalchemy.engine import Connection

from governance.domain.errors import Code, Conflict, Unavailable
from governance.storage.database import Database
from governance.storage.tables import config_revision, users

PAGE = 4096


def add(connection: Connection, *ids: str) -> None:
    rows = [{"id": name, "name": name, "created_at": 1, "updated_at": 1, "search_name": name} for name in ids]
    connection.execute(insert(users), [row | {"revision": 1} for row in rows])


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(users.c.id).order_by(users.c.id)).scalars())


def stored(database: Database) -> list[str]:
    with database.read() as connection:
        return names(connection)


@contextmanager
def refused(database: Database) -> Iterator[list[str]]:
    """What is done inside is refused as unavailable; the list gets the sentence, in which no path and no SQL stands."""
    said: list[str] = []
    with pytest.raises(Unavailable) as told:
        yield said
    assert told.value.code == Code.DATABASE_UNAVAILABLE
    assert told.value.retry_after
    said.append(told.value.message)
    assert str(database.path.parent) not in said[0]
    assert not any(word in said[0] for word in ("SELECT", "INSERT", "UPDATE", "BEGIN"))


def read_refused(database: Database) -> str:
    with refused(database) as said:
        stored(database)
    return said[0]


def write_refused(database: Database) -> str:
    with refused(database) as said, database.write() as connection:
        add(connection, "never")
    return said[0]


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
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        add(connection, "ann")
        raise ZeroDivisionError
    assert stored(database) == []


def test_a_write_has_the_lock_from_its_beginning(database, opened):
    other = opened(database.path)
    with database.write():
        assert "another process holds its lock" in write_refused(other)
        assert stored(other) == []
    with other.write() as connection:
        add(connection, "ann")


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
    with database.write() as connection:
        add(connection, "ann")
    assert stored(database) == ["ann"]


def test_a_row_that_another_has_just_stored_is_a_conflict(database):
    with database.write() as connection:
        add(connection, "ann")
    with pytest.raises(Conflict), database.write() as connection:
        add(connection, "bob")
        add(connection, "ann")
    assert stored(database) == ["ann"]


@pytest.mark.parametrize("used", [True, False], ids=["with open connections", "never opened"])
def test_a_file_that_was_deleted_is_told_and_not_made_anew(database, used):
    if used:
        stored(database)
    for file in database.path.parent.glob("governance.db*"):
        file.unlink()
    assert "governance.db is missing" in read_refused(database)
    assert "governance.db is missing" in write_refused(database)
    assert list(database.path.parent.iterdir()) == []


def test_a_deleted_file_is_told_as_missing_whatever_its_folder_is_called(path, opened, tmp_path):
    folder = tmp_path / "busy"
    folder.mkdir()
    database = opened(Path(shutil.move(path, folder / "governance.db")))
    stored(database)
    database.path.unlink()
    # FINDING: the reason is looked for in a text that contains the path.
    assert "governance.db is missing" in read_refused(database)


def test_a_file_that_came_back_is_used_again(database, template):
    stored(database)
    database.path.unlink()
    read_refused(database)
    for left in ("governance.db-wal", "governance.db-shm"):
        database.path.with_name(left).unlink(missing_ok=True)
    shutil.copy(template, database.path)
    with database.write() as connection:
        add(connection, "ann")
    assert stored(database) == ["ann"]


def backup(database: Database) -> Path:
    """A copy of the database as it is, in a file beside it."""
    copy = database.path.with_name("backup.db")
    with closing(sqlite3.connect(database.path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def checkpoint(database: Database) -> None:
    with closing(sqlite3.connect(database.path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_backup_that_takes_the_file_s_place_is_opened_by_every_connection(database):
    with database.write() as connection:
        add(connection, "ann")
    copy = backup(database)
    with database.write() as connection:
        add(connection, "bob")
    checkpoint(database)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.read())
    copy.replace(database.path)
    with database.read() as first, database.read() as second, database.read() as third:
        assert [names(connection) for connection in (first, second, third)] == [["ann"]] * 3
    with database.write() as connection:
        add(connection, "cid")
    with closing(sqlite3.connect(database.path)) as other:
        assert other.execute("SELECT id FROM users ORDER BY id").fetchall() == [("ann",), ("cid",)]


def test_a_backup_is_not_mixed_with_what_the_old_file_s_journal_still_holds(database):
    with database.write() as connection:
        add(connection, "ann")
    copy = backup(database)
    with database.write() as connection:
        add(connection, *(f"later {number}" for number in range(200)))
    copy.replace(database.path)
    # FINDING: the old connections are still open, so governance.db-wal is applied to the backup.
    assert stored(database) == ["ann"]


@pytest.fixture
def full(database: Database) -> Iterator[Database]:
    """A database whose connections may not make the file any longer: to SQLite, a full disk."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    event.listen(database.engine, "connect", limit)
    yield database
    event.remove(database.engine, "connect", limit)


def test_a_full_disk_is_told_and_nothing_is_half_done(full):
    with full.write() as connection:
        add(connection, "ann")
    with refused(full) as said, full.write() as connection:
        add(connection, "bob")
        add(connection, *("x" * PAGE + str(number) for number in range(20)))
    assert "the disk is full" in said[0]
    assert stored(full) == ["ann"]
    with full.write() as connection:
        add(connection, "bob")
    assert stored(full) == ["ann", "bob"]


def test_a_database_that_may_only_be_read_is_told_on_writing_and_read(database):
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    assert "it is read-only" in write_refused(database)
    assert stored(database) == []


def test_a_file_that_became_corrupt_is_told(path, opened):
    path.write_bytes(path.read_bytes()[:PAGE] + b"\xaa" * (path.stat().st_size - PAGE))
    assert "restore a backup" in read_refused(opened(path))


def test_a_file_that_is_no_database_any_more_is_told(path, opened):
    path.write_bytes(b"this is no database\n" * 50)
    assert "no SQLite database" in read_refused(opened(path))


def test_a_database_without_its_tables_is_told(path, opened):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE users")
    assert "tables are missing" in read_refused(opened(path))


def test_a_call_that_finds_all_connections_busy_is_told(path, opened):
    database = opened(path, connections=1)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.read())
        assert "all its connections are busy" in read_refused(database)
    assert stored(database) == []


def test_children_go_with_their_parents_on_every_connection(database):
    with database.read() as first, database.read() as second:
        for connection in (first, second):
            assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
            assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2


def test_reads_go_on_while_writes_are_under_way(database):
    with database.write() as writing:
        add(writing, "ann")
        with database.read() as reading:
            assert reading.execute(select(func.count()).select_from(users)).scalar_one() == 0


def test_a_file_is_another_once_a_backup_has_taken_its_place(database):
    before = database.file()
    copy = backup(database)
    assert database.file() == before
    copy.replace(database.path)
    assert database.file() != before
    assert database.file() == (os.stat(database.path).st_dev, os.stat(database.path).st_ino)  # noqa: PTH116
