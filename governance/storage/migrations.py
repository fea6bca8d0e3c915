"""Bringing a database file to the schema of this code: made where there is none, copied before it is changed."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

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
from governance.storage.backup import copy
from governance.storage.holdings import any_limits
from governance.storage.private_files import make_folder

logger = logging.getLogger("governance.migrations")

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"
OWNER_ONLY = 0o600
WITHOUT_COPY = (
    "The database was migrated without a copy of what it was: look at the log, and make a copy of what it is now "
    "(flask governance backup FILE)."
)


def upgrade(path: Path, busy_timeout: float) -> list[str]:
    """Create or migrate the file; what to warn of.

    Raises NotReady, with one line that says what to do, where that cannot be.
    """
    try:
        with _alone(path):
            return _upgrade(path, busy_timeout)
    except (OSError, sqlite3.Error, DatabaseError) as error:
        raise NotReady(f"The database {path} cannot be used: {_cause(error)}.") from error


def current_revision(connection: Connection) -> str | None:
    """The schema revision of a database."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The schema revision of this code."""
    return str(_script().get_current_head())


def fault(found: str | None, wanted: str) -> str | None:
    """What to do about a database whose schema is not the wanted one; None where it is."""
    if found == wanted:
        return None
    older = found is None or found in _known()
    advice = "restart the service" if older else "start the newer version of the service, or restore an older backup"
    return f"The schema is {found}, this code wants {wanted}: {advice}."


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, bound to a connection for `migrations/env.py` to use."""
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.attributes["connection"] = connection
    return made


@contextmanager
def connect(path: Path, busy_timeout: float) -> Iterator[Connection]:
    """A connection for migrations alone, with foreign keys off.

    A batch ALTER drops and remakes a table; with them on, that would empty the tables that cascade from it.
    """
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(path, timeout=busy_timeout, isolation_level=None),
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        yield connection


def _upgrade(path: Path, busy_timeout: float) -> list[str]:
    new = not path.exists()
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
    path.chmod(OWNER_ONLY)
    with connect(path, busy_timeout) as connection:
        revision = current_revision(connection)
        if revision is not None and revision not in _known():
            raise NotReady(
                f"The database {path} is of a newer version of this service (schema {revision}): "
                "start that version, or restore an older backup."
            )
        _check_writable(connection)
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        if revision == head():
            return []
        if new:
            _migrate(connection)
            return []
        return _migrate_old(connection, path, revision, busy_timeout)


def _migrate_old(connection: Connection, path: Path, revision: str | None, busy_timeout: float) -> list[str]:
    """Copy and migrate a file that is there, and log both; what to warn of."""
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
    """Copy the file; what to warn of where the copy cannot be written and the service has limits to serve.

    The migration itself is one transaction: where it fails, too, nothing is changed.
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
        connection.exec_driver_sql("ROLLBACK")
        raise


def _check_parents(connection: Connection) -> None:
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        raise NotReady(f"The migration was undone: {len(orphans)} rows of {orphans[0][0]} would lose their parent.")


def _check_writable(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.exec_driver_sql("ROLLBACK")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time: two services that start together on one file migrate it once."""
    make_folder(path.parent)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def _known() -> set[str]:
    return {script.revision for script in _script().walk_revisions()}


def _cause(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
