"""The caller's error if the file is missing, full, closed or damaged. A file that replaces it is opened."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import event

from governance.storage.sqlite.database import SqliteDatabase
from tests.storage.rows import names, read_refused, refusal, stored, write, write_refused

PAGE = 4096


@pytest.mark.parametrize("used", [True, False], ids=["with open connections", "never opened"])
def test_a_file_that_was_deleted_is_told_and_not_made_anew(database, used):
    if used:
        stored(database)
    for file in database.path.parent.glob("governance.db*"):
        file.unlink()
    for told in (read_refused(database), write_refused(database)):
        assert "governance.db is missing" in told or "governance.db cannot be opened" in told
    assert not any(database.path.with_name(f"governance.db{end}").exists() for end in ("", "-wal", "-shm"))


def test_a_deleted_file_is_told_as_missing_whatever_its_folder_is_called(path, opened, tmp_path):
    folder = tmp_path / "busy"
    folder.mkdir()
    database = opened(Path(shutil.move(path, folder / "governance.db")))
    stored(database)
    database.path.unlink()
    assert "governance.db is missing" in read_refused(database)


def test_a_file_that_came_back_is_used_again(database, template):
    stored(database)
    database.path.unlink()
    read_refused(database)
    for left in ("governance.db-wal", "governance.db-shm"):
        database.path.with_name(left).unlink(missing_ok=True)
    shutil.copy(template, database.path)
    write(database, "ann")
    assert stored(database) == ["ann"]


def backup(database: SqliteDatabase) -> Path:
    """Copy the present database to a file beside it."""
    copy = database.path.with_name("backup.db")
    with closing(sqlite3.connect(database.path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def checkpoint(database: SqliteDatabase) -> None:
    with closing(sqlite3.connect(database.path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_backup_that_takes_the_file_s_place_is_opened_by_every_connection(database):
    write(database, "ann")
    copy = backup(database)
    write(database, "bob")
    checkpoint(database)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.read())
    copy.replace(database.path)
    with database.read() as first, database.read() as second, database.read() as third:
        assert [names(connection) for connection in (first, second, third)] == [["ann"]] * 3
    write(database, "cid")
    with closing(sqlite3.connect(database.path)) as other:
        assert other.execute("SELECT id FROM users ORDER BY id").fetchall() == [("ann",), ("cid",)]


def test_a_backup_is_not_mixed_with_what_the_old_file_s_journal_still_holds(database):
    write(database, "ann")
    copy = backup(database)
    write(database, *(f"later {number}" for number in range(200)))
    copy.replace(database.path)
    assert "remove governance.db-wal and governance.db-shm" in read_refused(database)


def test_a_connection_that_is_opened_only_then_does_not_mix_them_either(database):
    write(database, "ann")
    copy = backup(database)
    write(database, *(f"later {number}" for number in range(200)))
    with database.read() as busy:
        names(busy)
        copy.replace(database.path)
        assert "remove governance.db-wal and governance.db-shm" in read_refused(database)


@pytest.fixture
def full(database: SqliteDatabase) -> Iterator[SqliteDatabase]:
    """Yield a database whose connections must not make the file longer. To SQLite, this is a full disk."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    event.listen(database.engine, "connect", limit)
    yield database
    event.remove(database.engine, "connect", limit)


def test_a_full_disk_is_told_and_nothing_is_half_done(full):
    write(full, "ann")
    assert "the disk is full" in refusal(full, write, "bob", *("x" * PAGE + str(number) for number in range(20)))
    assert stored(full) == ["ann"]
    write(full, "bob")
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


def test_a_file_is_another_once_a_backup_has_taken_its_place(database):
    before = database.file()
    copy = backup(database)
    assert database.file() == before
    copy.replace(database.path)
    assert database.file() != before
    assert database.file() == (os.stat(database.path).st_dev, os.stat(database.path).st_ino)  # noqa: PTH116
