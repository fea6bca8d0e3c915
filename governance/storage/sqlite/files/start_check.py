"""Checks a database file before it is used.

The file must be undamaged, and must belong to this service. Its id must be the same as before. The id is stored in the
marker, a file next to the database (see `marker.py`).
"""

import errno
import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from governance import __version__
from governance.domain.errors import NotReady
from governance.domain.installation import PROGRAM
from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.files import marker
from governance.storage.sqlite.files.faults import unusable
from governance.storage.sqlite.files.header import FileHeader
from governance.storage.sqlite.files.marker import Marker

logger = logging.getLogger("governance.storage")

OURS = {"alembic_version", "config_revision", "model_limits"}
"""Tables that every schema version of this service contains."""
LARGEST_QUICK = 256 * 1024 * 1024
"""If a file has not changed since a clean stop, its content is checked only if the file is at most this large, in
bytes. Checking 256 MiB takes half a second."""
TELL_FROM = 64 * 1024 * 1024

RESTORE = f"run {PROGRAM} restore BACKUP"
EMPTY = f"The database {{}} is empty: {RESTORE}, or remove it and run {PROGRAM} init to begin anew."
NO_DATABASE = f"{{}} is not a database of this service: put the right file there, or {RESTORE}."
CUT_OFF = f"The database {{}} is malformed, it was cut off: it has {{}} bytes of {{}}; {RESTORE}."
A_LINK = "Set GOVERNANCE_DATABASE_URL to the file itself: {} is a link, and SQLite keeps its journal elsewhere."
MIXED = (
    "{0} was replaced beside the journal of the file before it ({1}), which would ruin it: move it to another name, "
    f"then run {PROGRAM} restore with that, or put the earlier file back."
)
STRANGER = (
    "The database {} is another than the one that was here (id {}, not {}): put that back, or move this one to another "
    f"name and run {PROGRAM} restore --force with that."
)
DAMAGED = f"The database {{}} is malformed ({{}}): {RESTORE}."


def check(path: Path, busy_timeout: float, *, in_use: bool) -> None:
    """Check an existing database file without changing it.

    If another service is using the file (`in_use`), that service has already searched the file for damage. So this
    search is left out. Raises NotReady, OSError, sqlite3.Error.
    """
    if path.is_symlink():
        raise NotReady(A_LINK.format(path))
    journal = marker.journal_beside(path)
    header, known = header_of(path), Marker.read(path)
    replaced = known is not None and known.was_replaced(path, header)
    if journal and replaced:
        raise NotReady(MIXED.format(path, journal.name))
    if not journal:
        refuse_cut_off(path, header)
    with closing(open_file(path, busy_timeout)) as connection:
        refuse_foreign(path, connection)
        found = database_id(connection)
        if known and found not in (None, known.database_id):
            raise NotReady(STRANGER.format(path, found, known.database_id))
        if not in_use:
            _look_through(path, connection, known)
    if replaced:
        logger.warning("%s was replaced by another state of the same database, which is used from now on", path)


def check_for_command(path: Path, busy_timeout: float) -> None:
    """Check a database file before a command opens it. Raises NotReady if opening the file could destroy data.

    A start refuses such a file too. The file is not searched for damage. A missing file raises no error.
    """
    if not os.path.lexists(path):
        return
    try:
        check(path, busy_timeout, in_use=True)
    except (OSError, sqlite3.Error) as error:
        raise unusable(path, error) from error


def header_of(path: Path) -> FileHeader:
    """Read the header of a database file. Raises NotReady if the file is not a database. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not path.stat().st_size:
        raise NotReady(EMPTY.format(path))
    header = FileHeader.of(path)
    if header is None:
        raise NotReady(NO_DATABASE.format(path))
    return header


def refuse_cut_off(path: Path, header: FileHeader) -> None:
    """Raise NotReady if the file does not have the size that its header states. It must have no journal."""
    size = path.stat().st_size
    if header.pages is not None and size != header.pages * header.page_size:
        raise NotReady(CUT_OFF.format(path, size, header.pages * header.page_size))


def refuse_foreign(path: Path, connection: sqlite3.Connection) -> None:
    """Raise NotReady if a database contains no tables, or the tables of another program."""
    tables = tables_of(connection)
    if not tables:
        raise NotReady(EMPTY.format(path))
    if not tables >= OURS:
        raise NotReady(NO_DATABASE.format(path))


def tables_of(connection: sqlite3.Connection) -> set[str]:
    """Return the names of a database's tables."""
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def database_id(connection: sqlite3.Connection) -> str | None:
    """Return the id of a database. Return None if its schema is too old to contain an id."""
    if "database_identity" not in tables_of(connection):
        return None
    found = connection.execute("SELECT database_id FROM database_identity").fetchone()
    return str(found[0]) if found else None


def fault_in(connection: sqlite3.Connection, pragma: str = "integrity_check") -> str | None:
    """Return the first fault of a database, or None if there is none."""
    found = str(connection.execute(f"PRAGMA {pragma}(1)").fetchone()[0])
    return None if found == "ok" else found.splitlines()[-1]


def _look_through(path: Path, connection: sqlite3.Connection, known: Marker | None) -> None:
    size, unchanged = path.stat().st_size, known is not None and known.is_of(path)
    if unchanged and size > LARGEST_QUICK:
        return
    if size > TELL_FROM:
        logger.info("model limits %s looks through %s (%d MiB) first", __version__, path, size // 1024**2)
    fault = fault_in(connection, "quick_check" if unchanged else "integrity_check")
    if fault:
        raise NotReady(DAMAGED.format(path, fault))
