"""Makes a backup: copies the database file as it is at one instant, while other processes may write to it.

The copy is first written under a temporary name. It gets its final name when it is complete, checked and flushed to the
disk.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from governance.domain.errors import Conflict, InvalidRequest, Unavailable
from governance.storage import private_files
from governance.storage.sqlite import paths
from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.errors import unavailable
from governance.storage.sqlite.files.header import stamp_copy

PAGES = 256
"""The number of pages that are copied in one step. The user can interrupt the command between two steps."""


class BackupFile(NamedTuple):
    """A finished backup."""

    file: Path
    size: int


def backup(database: Path, file: Path, busy_timeout: float, *, replace: bool) -> BackupFile:
    """Copy the database to a new file. Raises Conflict if the file exists, InvalidRequest, Unavailable."""
    refuse_target(database, file, replace=replace)
    try:
        copy(database, file, busy_timeout)
    except sqlite3.Error as error:
        raise _told(error, database, file) from error
    except OSError as error:
        raise InvalidRequest(f"Give another FILE, or make room: {file} cannot be written, {error.strerror}.") from error
    return BackupFile(file, file.stat().st_size)


def copy(source: Path, target: Path, busy_timeout: float) -> None:
    """Copy a database to a file. If the file exists, replace it. Raises OSError, sqlite3.Error."""
    with private_files.beside(target) as part:
        with closing(open_file(source, busy_timeout)) as connection:
            fill(part, connection)
        part.replace(target)
    private_files.sync(target.parent)


def fill(part: Path, source: sqlite3.Connection) -> None:
    """Copy a database into an empty file, check the copy, and flush it to the disk. Raises OSError, sqlite3.Error."""
    with closing(sqlite3.connect(part)) as target:
        # This read transaction sees the state of this instant until the copy is complete. Without the transaction,
        # every write by another process would restart the copy (https://www.sqlite.org/c3ref/backup_finish.html).
        # Under load the copy would never end.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        target.execute("PRAGMA journal_mode = OFF")  # an incomplete copy is deleted, so a rollback is never needed
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target, pages=PAGES)
    stamp_copy(part)
    _check(part)
    private_files.sync(part)


def _check(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{quote(str(file))}?immutable=1", uri=True)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")


def refuse_target(database: Path, file: Path, *, replace: bool) -> None:
    """Raise an error if the backup must not be written to `file`.

    Raises InvalidRequest if `file` belongs to the database, or exists and is not a regular file. Raises Conflict if
    `file` exists, unless `replace` is true.
    """
    if file.resolve() in {Path(f"{database.resolve()}{end}") for end in paths.BELONGINGS}:
        raise InvalidRequest(f"Give another FILE: {file} belongs to the database itself.")
    if not file.exists():
        return
    if not file.is_file():
        raise InvalidRequest(f"Give another FILE: {file} is no file.")
    if not replace:
        raise Conflict(f"Give another FILE, or --force to replace it: {file} is there already.")


def _told(error: sqlite3.Error, database: Path, file: Path) -> Unavailable:
    """Return the error to raise for a copy that failed.

    If a disk is full or broken, the message names the backup. Its disk is a more likely cause than the database's disk.
    """
    if "disk is full" in str(error) or "disk I/O" in str(error):
        return Unavailable(f"Make room, or give another FILE: {file} was not written ({error}).")
    return unavailable(error, database)
