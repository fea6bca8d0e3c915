"""Creates the database file if it is missing. Otherwise copies it and migrates it, if its schema is an older one."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from governance import __version__
from governance.domain.errors import NotReady
from governance.domain.installation import PROGRAM
from governance.storage import private_files
from governance.storage.limits.states import any_limits
from governance.storage.sqlite import paths
from governance.storage.sqlite.files import marker, new_database, start_check
from governance.storage.sqlite.files.backup import copy
from governance.storage.sqlite.files.faults import unusable
from governance.storage.sqlite.files.service_lock import ServiceLock

logger = logging.getLogger("governance.migrations")

SCRIPTS = Path(__file__).resolve().parents[4] / "migrations"
PATIENCE = 60.0
"""The longest time in seconds for which a start waits for another start, which may be migrating the database."""
WITHOUT_COPY = (
    "The database was migrated without a copy of what it was: look at the log, and make a copy of what it is now "
    f"({PROGRAM} backup FILE)."
)
WITHOUT_MARKER = "The marker beside the database could not be written: look at the log, and make room."


def upgrade(
    path: Path,
    busy_timeout: float,
    *,
    folders: tuple[Path, ...] = (),
    service: ServiceLock | None = None,
    patience: float = PATIENCE,
) -> list[str]:
    """Create the database file, or check and migrate it. Return warnings.

    Then write its marker, a file that says that the database is in use (see `marker.py`). `folders` are other folders
    in which an earlier database may have left files. `service` is the lock of the service that starts. Raises NotReady,
    whose message is one line that says what to do.
    """
    try:
        private_files.make_folder(path.parent)
        with alone(path, patience):
            warnings = _ready(path, busy_timeout, folders, service)
            warnings += _marked(path, busy_timeout)
            if service:
                service.checked()
            return warnings
    except (OSError, sqlite3.Error, DatabaseError) as error:
        raise unusable(path, error) from error


def make(path: Path, busy_timeout: float) -> None:
    """Create a database with this version's schema. Raises OSError, sqlite3.Error."""
    new_database.make(path, lambda new: _upgrade(new, busy_timeout))


def mark(path: Path, busy_timeout: float) -> None:
    """Write the marker of a database in use. It must have this version's schema. Raises OSError, sqlite3.Error."""
    with connect(path, busy_timeout) as connection:
        (found,) = connection.exec_driver_sql("SELECT database_id FROM database_identity").one()
    marker.write(path, found, stopped=False)


def alone(path: Path, patience: float) -> AbstractContextManager[None]:
    """Hold the start lock during the block. So of two services that start together, only one migrates the file."""
    return private_files.locked(paths.beside(path, paths.START), patience)


def current_revision(connection: Connection) -> str | None:
    """Return the schema revision that a database has, or None if it has no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the schema revision that this version of the service uses."""
    return str(_script().get_current_head())


def fault(found: str | None, wanted: str) -> str | None:
    """Return what to do if the schema that was found is not the wanted schema. Return None if it is."""
    if found == wanted:
        return None
    older = found is None or found in _known()
    advice = "restart the service" if older else "start the newer version of the service, or restore an older backup"
    return f"The schema is {found}, this code wants {wanted}: {advice}."


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration. It contains the connection that `migrations/env.py` uses."""
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.attributes["connection"] = connection
    return made


@contextmanager
def connect(path: Path, busy_timeout: float) -> Iterator[Connection]:
    """Open an existing file for migrations, with foreign keys off.

    To alter a table, Alembic copies it, drops it and renames the copy. With foreign keys on, the drop would delete the
    rows of all tables that refer to the table.
    """
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, timeout=busy_timeout, isolation_level=None
        ),
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        yield connection


def _ready(path: Path, busy_timeout: float, folders: tuple[Path, ...], service: ServiceLock | None) -> list[str]:
    """Create the file, or check and migrate it. Return warnings."""
    if os.path.lexists(path):
        in_use = not (service or ServiceLock(path)).is_alone()
        start_check.check(path, busy_timeout, in_use=in_use)
        return _upgrade(path, busy_timeout)
    new_database.refuse_earlier(path, folders)
    make(path, busy_timeout)
    logger.info("model limits %s made a new, empty database: %s", __version__, path)
    return []


def _marked(path: Path, busy_timeout: float) -> list[str]:
    """Write the marker.

    If this fails and the database contains limits, return a warning. If it contains no limits, raise the error.
    """
    try:
        mark(path, busy_timeout)
    except OSError as error:
        with connect(path, busy_timeout) as connection:
            if not any_limits(connection):
                raise
        logger.warning("the marker of %s could not be written: %s", path, _cause(error))
        return [WITHOUT_MARKER]
    return []


def _upgrade(path: Path, busy_timeout: float) -> list[str]:
    private_files.close_to_others(path)
    with connect(path, busy_timeout) as connection:
        revision = current_revision(connection)
        refuse_newer(path, revision)
        if revision is None:
            # This pragma has an effect only before the first table is created.
            connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
        _check_writable(connection)
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        if revision == head():
            return []
        if revision is None:
            _migrate(connection)
            return []
        return _migrate_old(connection, path, revision, busy_timeout)


def refuse_newer(path: Path, revision: str | None) -> None:
    """Raise NotReady if this version does not know the database's schema."""
    if revision is not None and revision not in _known():
        raise NotReady(
            f"The database {path} is of a newer version of this service (schema {revision}): "
            "start that version, or restore an older backup."
        )


def _migrate_old(connection: Connection, path: Path, revision: str, busy_timeout: float) -> list[str]:
    """Copy and migrate an existing file, and log both steps. Return warnings."""
    began, target = monotonic(), path.with_name(f"{path.name}.before-{head()}")
    name, way = path.name, f"from schema {revision} to {head()}"
    logger.info("model limits %s migrates %s %s; first it is copied to %s", __version__, name, way, target.name)
    warnings = _copy_first(connection, path, target, busy_timeout)
    copied = monotonic()
    _migrate(connection)
    outcome = "without a copy" if warnings else f"the copy of before is {target.name}, made in {copied - began:.1f} s"
    logger.info("%s was migrated %s in %.1f s; %s", name, way, monotonic() - copied, outcome)
    return warnings


def _copy_first(connection: Connection, path: Path, target: Path, busy_timeout: float) -> list[str]:
    """Copy the file. If the copy cannot be written and the database contains limits, return a warning.

    In all other cases, raise the error. The migration may run without a copy, because it is one transaction. So a
    migration that fails changes nothing.
    """
    try:
        copy(path, target, busy_timeout)
    except (OSError, sqlite3.Error) as error:
        unwritten = isinstance(error, OSError) or error.sqlite_errorcode == sqlite3.SQLITE_FULL
        if not unwritten or not any_limits(connection):
            raise
        logger.warning("the copy %s could not be written: %s", target, _cause(error))
        return [WITHOUT_COPY]
    return []


def _migrate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        command.upgrade(config(connection), "head")
        _check_parents(connection)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        with suppress(DatabaseError):  # SQLite has already rolled back, for example because the disk is full
            connection.exec_driver_sql("ROLLBACK")
        raise


def _check_parents(connection: Connection) -> None:
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        raise NotReady(f"The migration was undone: {len(orphans)} rows of {orphans[0][0]} would lose their parent.")


def _check_writable(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.exec_driver_sql("ROLLBACK")


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def _known() -> set[str]:
    return {script.revision for script in _script().walk_revisions()}


def _cause(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
