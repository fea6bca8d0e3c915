"""A backup is complete, of one instant, and readable only by its owner. It appears only when it is finished."""

import os
import resource
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event

import pytest

from governance.domain.errors import Conflict, InvalidRequest, Unavailable
from governance.storage.sqlite.files.backup import PAGES, backup, copy
from tests.storage.rows import stored, write

MANY = [f"{'x' * 2000}{number:05}" for number in range(1500)]
"""Users that fill many times the number of pages that one step copies."""


def users(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [name for (name,) in connection.execute("SELECT id FROM users ORDER BY id")]


def made(database, file: Path, *, replace: bool = False) -> Path:
    return backup(database.path, file, 1, replace=replace).file


def left(folder: Path) -> list[str]:
    """Return the files in a folder, without the database and its own files."""
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("governance.db"))


@contextmanager
def writer(database) -> Iterator[list[str]]:
    """Run a thread that writes without a pause, two users in each transaction. Yield the written users."""
    done: list[str] = []

    def go_on() -> None:
        while not over.is_set():
            number = f"{len(done):06}"
            write(database, f"a{number}", f"b{number}")
            done.append(number)

    over = Event()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(go_on)
        try:
            yield done
        finally:
            over.set()
            running.result()


def test_a_backup_holds_all_rows_and_stands_alone(database, tmp_path):
    write(database, "ann", "bob")
    file = made(database, tmp_path / "copy.db")
    write(database, "cid")
    assert users(file) == ["ann", "bob"]
    assert left(tmp_path) == ["copy.db"]


def test_a_backup_ends_while_others_write_without_a_pause_and_is_of_one_instant(database, tmp_path):
    write(database, *MANY)
    assert database.path.with_name("governance.db-wal").stat().st_size > 3 * PAGES * 4096
    with writer(database) as done:
        while len(done) < 3:
            pass
        before = len(done)
        file = made(database, tmp_path / "copy.db")
        after = len(done)
    copied = [name for name in users(file) if not name.startswith("x")]
    firsts, seconds = ([name[1:] for name in copied if name[0] == letter] for letter in "ab")
    assert firsts == seconds  # each transaction is in the copy as a whole
    assert before <= len(firsts) <= after + 1
    assert len(users(file)) == len(MANY) + len(copied)


def test_a_backup_is_for_its_owner_alone_from_the_first_byte(database, tmp_path):
    modes = set()

    def look() -> None:
        for part in tmp_path.glob("copy.db*"):
            with suppress(FileNotFoundError):
                modes.add(part.stat().st_mode & 0o777)

    before = os.umask(0)
    try:
        with writer(database), ThreadPoolExecutor(1) as thread:
            making = thread.submit(made, database, tmp_path / "copy.db")
            while not making.done():
                look()
            look()
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_a_file_that_is_there_is_replaced_only_where_that_is_said(database, tmp_path):
    file = tmp_path / "copy.db"
    file.write_text("precious")
    with pytest.raises(Conflict, match=r"or --force to replace it: .*copy\.db is there already"):
        made(database, file)
    assert file.read_text() == "precious"
    write(database, "ann")
    assert users(made(database, file, replace=True)) == ["ann"]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal", ".queue", ".next", ".lock", ".commands"])
@pytest.mark.parametrize("by", ["its path", "a link", "another way"])
def test_the_database_itself_is_never_replaced(database, tmp_path, end, by):
    write(database, "ann")
    file = Path(f"{database.path}{end}")
    if by == "a link":
        file = tmp_path / "link"
        file.symlink_to(f"{database.path}{end}")
    elif by == "another way":
        file = tmp_path / "folder/.." / f"{database.path.name}{end}"
        (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidRequest, match="belongs to the database itself"):
        made(database, file, replace=True)
    assert stored(database) == ["ann"]


def test_what_is_no_file_is_not_replaced(database, tmp_path):
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", Path("/dev/null")):
        with pytest.raises(InvalidRequest, match="is no file"):
            made(database, place, replace=True)
    assert Path("/dev/null").is_char_device()


def test_a_folder_that_is_not_there_is_told(database, tmp_path):
    with pytest.raises(InvalidRequest, match="cannot be written, No such file or directory"):
        made(database, tmp_path / "nowhere/copy.db")


@contextmanager
def small_disk(most: int) -> Iterator[None]:
    """Limit the size of each file in the block. To SQLite, this is a disk that fails to write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("replace", [False, True])
def test_a_disk_without_room_leaves_no_file_and_keeps_the_one_before(database, tmp_path, replace):
    write(database, *MANY)
    file = tmp_path / "copy.db"
    if replace:
        file.write_text("the last backup")
    with (
        small_disk(1_000_000),
        pytest.raises(Unavailable, match=r"Make room, or give another FILE: .*copy\.db was not"),
    ):
        made(database, file, replace=replace)
    assert left(tmp_path) == (["copy.db"] if replace else [])
    assert not replace or file.read_text() == "the last backup"


def test_a_database_that_is_damaged_is_told_and_leaves_no_file(path, tmp_path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xaa" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="the file is corrupt; restore a backup"):
        backup(path, tmp_path / "copy.db", 1, replace=False)
    assert left(tmp_path) == []


def test_a_copy_takes_the_place_of_one_that_is_there(database, tmp_path):
    write(database, "ann")
    copy(database.path, tmp_path / "copy.db", 1)
    write(database, "bob")
    copy(database.path, tmp_path / "copy.db", 1)
    assert users(tmp_path / "copy.db") == ["ann", "bob"]
