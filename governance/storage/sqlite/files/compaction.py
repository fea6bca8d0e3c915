"""Compacts a database file. SQLite's VACUUM rewrites the file without unused pages, in one transaction."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from governance.domain.errors import Conflict, NotReady
from governance.storage.private_files import LockTimeoutError
from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.files import migrations, service_lock
from governance.storage.sqlite.retention.pruning import INCREMENTAL

RUNNING = "Stop the service first: {}."
NO_ROOM = "Make room: {} bytes are free in {}, and {} are needed while the file is written anew."
FAILED = "Look at what the disk says, and try again: the file is as it was ({})."


class FileSize(NamedTuple):
    """The size of a database file and of its unused pages, in bytes.

    `is_incremental` says whether the service can return unused pages to the file system while it runs.
    """

    size: int
    free: int
    is_incremental: bool


def look(path: Path, busy_timeout: float) -> FileSize:
    """Return the size of a database file and of its unused pages. Raises sqlite3.Error."""
    with closing(open_file(path, busy_timeout)) as connection:
        page, pages, free, mode = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
        )
    return FileSize(page * pages, page * free, mode == INCREMENTAL)


def compact(path: Path, busy_timeout: float) -> FileSize:
    """Rewrite the file without unused pages. From then on, the service can return unused pages to the file system.

    Raises Conflict if a service runs. Raises NotReady if the disk or SQLite reports an error.
    """
    try:
        with migrations.alone(path, busy_timeout), service_lock.stopped(path):
            _refuse_without_room(path, look(path, busy_timeout))
            _vacuum(path, busy_timeout)
            migrations.mark(path, busy_timeout)
            return look(path, busy_timeout)
    except LockTimeoutError as error:
        raise Conflict(RUNNING.format(error)) from error
    except (OSError, sqlite3.Error) as error:
        raise NotReady(FAILED.format(error)) from error


def _refuse_without_room(path: Path, found: FileSize) -> None:
    needed, free = 2 * (found.size - found.free), shutil.disk_usage(path.parent).free
    if free < needed:
        raise NotReady(NO_ROOM.format(f"{free:,}", path.parent, f"{needed:,}"))


def _vacuum(path: Path, busy_timeout: float) -> None:
    """Run VACUUM.

    The temporary copy is written to the folder of the database, because the system's temporary folder may be too small.
    """
    os.environ["SQLITE_TMPDIR"] = str(path.parent)
    with closing(open_file(path, busy_timeout)) as connection:
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
