"""Restores a backup: checks the backup, keeps the old database file under a new name, and puts a copy in its place."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from governance.domain.errors import Conflict, GovernanceError, InvalidRequest, NotReady
from governance.domain.times import to_the_second
from governance.storage import private_files
from governance.storage.private_files import LockTimeoutError
from governance.storage.sqlite import paths
from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.files import backup, inspection, marker, migrations, service_lock, start_check

RUNNING = "Stop the service first: {}."
OPEN = "End the other command first: {}."
OPENED = "End {} first, which has the database open."
ITSELF = "Give another BACKUP: {} belongs to the database itself."
UNREADABLE = "Give a BACKUP that is a whole database of this service: {} is not ({})."
OTHER = "Give --force to put another database there: {} has the id {}, and here was {}."
THERE = "Move {} away first: it is there already, and is kept."
UNWRITABLE = "Make room, or make the folder writable: {} was not made, {}."


class RestoredFile(NamedTuple):
    """The database file after a restore, its size and its schema revision.

    `kept` is the new path of the replaced database file. It is None if there was no database file.
    """

    file: Path
    size: int
    schema: str
    kept: Path | None


def restore(database: Path, file: Path, now: int, busy_timeout: float, *, force: bool) -> RestoredFile:
    """Replace the database with a copy of a backup.

    All checks are made before anything is changed. If `force` is true, the backup may come from another database. `now`
    becomes part of the new name of the replaced file. Raises Conflict, InvalidRequest, NotReady.
    """
    _refuse_itself(database, file)
    try:
        private_files.make_folder(database.parent)
        with _nobody_else(database, busy_timeout):
            with private_files.beside(database) as part:
                schema, found = _copied(file, part, busy_timeout)
                _refuse_other(database, file, found, force=force)
                kept = _put_away(database, now)
                size = part.stat().st_size
                part.replace(database)
            private_files.sync(database.parent)
            _mark(database, found)
    except OSError as error:
        raise NotReady(UNWRITABLE.format(database, error.strerror or error)) from error
    return RestoredFile(database, size, schema, kept)


def begin_anew(database: Path, now: int, busy_timeout: float) -> None:
    """Create an empty database, even if files of a lost database are left. Raises Conflict, NotReady.

    Raises Conflict also if the database file exists.
    """
    try:
        private_files.make_folder(database.parent)
        with _nobody_else(database, busy_timeout):
            if os.path.lexists(database):
                raise Conflict(THERE.format(database))
            _put_away(database, now)
            marker.path_of(database).unlink(missing_ok=True)
            migrations.make(database, busy_timeout)
            migrations.mark(database, busy_timeout)
    except OSError as error:
        raise NotReady(UNWRITABLE.format(database, error.strerror or error)) from error


@contextmanager
def _nobody_else(database: Path, patience: float) -> Iterator[None]:
    """Keep services and commands from using the database during the block. Raises OSError.

    Raises Conflict if a service, a start, a command or another program uses the database now.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(migrations.alone(database, patience))
            stack.enter_context(service_lock.stopped(database))
        except LockTimeoutError as error:
            raise Conflict(RUNNING.format(error)) from error
        try:
            stack.enter_context(service_lock.without_commands(database, patience))
        except LockTimeoutError as error:
            raise Conflict(OPEN.format(error)) from error
        others = inspection.other_processes(database)
        if others:
            raise Conflict(OPENED.format(" ".join(others)))
        yield


def _refuse_itself(database: Path, file: Path) -> None:
    if file.resolve() in {Path(f"{database.resolve()}{end}") for end in paths.BELONGINGS}:
        raise InvalidRequest(ITSELF.format(file))
    if not file.is_file():
        raise InvalidRequest(UNREADABLE.format(file, "there is no such file"))


def _copied(file: Path, part: Path, busy_timeout: float) -> tuple[str, str | None]:
    """Copy a backup to `part`, and check the copy. Return its schema revision and its database id.

    Raises InvalidRequest, NotReady.
    """
    try:
        header = start_check.header_of(file.resolve())
        journal = marker.journal_beside(file)
        if journal is None:
            start_check.refuse_cut_off(file, header)
        with closing(_open(file, busy_timeout, with_journal=journal is not None)) as source:
            backup.fill(part, source)
        with closing(sqlite3.connect(f"file:{quote(str(part))}?mode=ro&immutable=1", uri=True)) as copied:
            start_check.refuse_foreign(file, copied)
            (schema,) = copied.execute("SELECT version_num FROM alembic_version").fetchone()
            found = start_check.database_id(copied)
    except (sqlite3.Error, GovernanceError, PermissionError) as error:
        reason = error.message if isinstance(error, GovernanceError) else str(error)
        raise InvalidRequest(UNREADABLE.format(file, reason)) from error
    migrations.refuse_newer(file, schema)
    return str(schema), found


def _open(file: Path, busy_timeout: float, *, with_journal: bool) -> sqlite3.Connection:
    """Open a backup. No file is written next to it, unless the backup has its own journal."""
    if with_journal:
        return open_file(file, busy_timeout)
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)


def _refuse_other(database: Path, file: Path, found: str | None, *, force: bool) -> None:
    known = None if force else _known_id(database)
    if known and found and found != known:
        raise Conflict(OTHER.format(file, found, known))


def _known_id(database: Path) -> str | None:
    """Return the id of the database that is or was at this path, or None if the id is not known."""
    try:
        known = marker.Marker.read(database)
    except NotReady:
        known = None
    return known.database_id if known else None


def _put_away(database: Path, now: int) -> Path | None:
    """Rename the database file and its journals. Return the new path of the database file, or None if there was none.

    The database file is renamed first, so that no start finds it without its journal.
    """
    stamp = to_the_second(now).replace("-", "").replace(":", "")
    name, number = f"{database.name}.replaced-{stamp}", 1
    while any(os.path.lexists(database.with_name(f"{name}{end}")) for end in ("", *paths.JOURNALS)):
        number += 1
        name = f"{database.name}.replaced-{stamp}-{number}"
    there = [end for end in ("", *paths.JOURNALS) if os.path.lexists(f"{database}{end}")]
    for end in there:
        Path(f"{database}{end}").rename(database.with_name(f"{name}{end}"))
        private_files.sync(database.parent)
    return database.with_name(name) if "" in there else None


def _mark(database: Path, found: str | None) -> None:
    """Write the marker of the restored database (see `marker.py`).

    If the restored database has no id, remove the old marker. Then the next start gives the database an id, and writes
    its marker.
    """
    if found:
        marker.write(database, found, stopped=True)
    else:
        marker.path_of(database).unlink(missing_ok=True)
