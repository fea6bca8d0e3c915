"""Bringing a database file to the schema of this code: made where there is none, copied before it is changed."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from governance.domain.errors import NotReady
from governance.storage.backup import copy

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"
OWNER_ONLY = 0o600


def upgrade(path: Path, busy_timeout: float) -> None:
    """Create or migrate the file. Raises NotReady, with one line that says what to do, where that cannot be."""
    try:
        with _alone(path):
            _upgrade(path, busy_timeout)
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


def _upgrade(path: Path, busy_timeout: float) -> None:
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
        if revision != head():
            if not new:
                copy(path, path.with_name(f"{path.name}.before-{head()}"), busy_timeout)
            _migrate(connection)


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def _known() -> set[str]:
    return {script.revision for script in _script().walk_revisions()}


def _cause(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
