"""The connection to the database: how a file is opened, what a transaction is, and how trouble is told.

Every read of several statements and every write is one explicit transaction. A write takes the write lock when it
begins (`BEGIN IMMEDIATE`), so it never fails half way for want of it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError, DisconnectionError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from governance.domain.deadlines import deadline
from governance.domain.errors import Code, Conflict, Unavailable
from governance.storage.sqlite.locks.lock_holders import StoppedHolders
from governance.storage.sqlite.locks.progress import STALLED, Progress
from governance.storage.sqlite.locks.writer_lock import lock_files, turn_within

WRITE = "write"


JOURNAL_LIMIT = 32 * 1024 * 1024
"""Bytes to which a journal that has grown larger is cut back, once it is folded in: twice what is usual."""
PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = FULL",
    "temp_store = MEMORY",
    "wal_autocheckpoint = 4000",
    f"journal_size_limit = {JOURNAL_LIMIT}",
)
"""A checkpoint writes each page once, however often it has moved: one every 16 MiB of journal, not SQLite's 4, writes
less."""


def engine_options(path: Path, busy_timeout: float, connections: int) -> dict[str, Any]:
    """What SQLAlchemy's `create_engine` needs to open the file, which must be there: a lost file is never made anew."""
    return {
        "creator": partial(open_file, path, busy_timeout),
        "pool_size": connections,
        "max_overflow": 2,
        "pool_timeout": busy_timeout,
    }


def open_file(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """A connection to a file that is there, with the pragmas of all connections."""
    name = f"file:{quote(str(path))}?mode=rw"
    connection = sqlite3.connect(name, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")  # opens the file, and its journal with it
    return connection


class SqliteDatabase:
    """Transactions on one SQLite file, through an engine made with `engine_options`."""

    def __init__(
        self, engine: Engine, path: Path, busy_timeout: float = 5.0, *, progress: Progress | None = None
    ) -> None:
        self.engine = engine
        self.path = path
        self._busy_timeout = busy_timeout
        self._progress = progress or Progress()
        self._holders = StoppedHolders(*lock_files(path))
        self._known: tuple[int, int] | None = None
        self._journal: int | None = None
        self._writer = engine.execution_options(**{WRITE: True})
        event.listen(engine, "begin", _begin)
        event.listen(engine, "connect", self._remember_file)
        event.listen(engine, "checkout", self._check_file)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the database. Raises Unavailable."""
        with _told(self.path):
            self._watch()
            with self.engine.begin() as connection:
                yield connection

    def deadline(self) -> float:
        """Until when (seconds of the monotonic clock) the caller waits, in all queues together."""
        return deadline(self._busy_timeout)

    @contextmanager
    def write(self, until: float | None = None) -> Iterator[Connection]:
        """One transaction with the write lock held: all of it is kept, or nothing. Raises Unavailable, Conflict."""
        until = self.deadline() if until is None else until
        with _told(self.path), ExitStack() as stack:
            with self._progress:
                stack.enter_context(turn_within(self.path, until - monotonic(), self._while_waiting))
                self._watch()
                connection = stack.enter_context(self._begun(until))
            yield connection
        self._progress.advanced()

    @contextmanager
    def _begun(self, until: float) -> Iterator[Connection]:
        """A transaction that has the write lock. SQLite waits for it as long as is left, and then as long as always."""
        with self._writer.connect() as connection:
            connection.connection.execute(f"PRAGMA busy_timeout = {_milliseconds(until - monotonic())}")
            try:
                transaction = connection.begin()
            finally:
                connection.connection.execute(f"PRAGMA busy_timeout = {_milliseconds(self._busy_timeout)}")
            with transaction:
                yield connection

    def _while_waiting(self) -> None:
        """Continue a stopped process that holds the turn. Raises Unavailable where too many wait for a stuck writer."""
        if self._progress.stalled() >= STALLED:
            self._holders.look()
            if self._progress.is_crowded():
                raise self._progress.refusal()

    def file(self) -> tuple[int, int]:
        """Which file the database is, as (device, inode): another after a backup was put in its place."""
        stat = os.stat(self.path)  # noqa: PTH116 - a third of Path.stat's time, on every checkout
        return stat.st_dev, stat.st_ino

    def _remember_file(self, _: object, record: Any) -> None:
        record.info["file"] = self._known = self.file()
        self._journal = journal(self.path)

    def _check_file(self, _: object, record: Any, __: object) -> None:
        """Open anew where another file has taken the path: what is written to a deleted one is lost."""
        if record.info["file"] != self.file():
            raise DisconnectionError

    def _watch(self) -> None:
        """Look, before a connection is opened, whether another file has taken the path."""
        if self._known is not None and self._known != self.file():
            refuse_mixture(self.path, self._journal)


def _milliseconds(seconds: float) -> int:
    return max(0, round(1000 * seconds))


REPLACED = (
    "Stop the service, remove {0}-wal and {0}-shm, and start it again: the database file was replaced while it ran."
)


def journal(path: Path) -> int | None:
    """Which file the database's write-ahead log is, by its inode."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_ino if log.exists() else None


def refuse_mixture(path: Path, old_journal: int | None) -> None:
    """Refuse to open a file beside which the journal of the file before it still lies, with something in it.

    SQLite would apply it to the new file, and ruin it.
    """
    log = path.with_name(f"{path.name}-wal")
    if journal(path) == old_journal is not None and log.stat().st_size:
        raise Unavailable(REPLACED.format(path.name))


def _begin(connection: Connection) -> None:
    mode = "IMMEDIATE" if connection.get_execution_options().get(WRITE) else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SqliteDatabase trouble as one sentence for the caller; the cause stays with the exception, for the log."""
    try:
        yield
    except IntegrityError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_CHECK:
            raise  # a row that may not be stored is our mistake: another attempt fails too
        raise Conflict("Look the list up again: another request has just stored the same thing.") from error
    except OperationalError as error:
        if isinstance(error.orig, sqlite3.Error) and not is_trouble(error.orig):
            raise
        raise unavailable(error, path) from error
    except (DatabaseError, InterfaceError, DisconnectionError, PoolTimeoutError, sqlite3.Error, OSError) as error:
        raise unavailable(error, path) from error


FAULTS_OF_A_STATEMENT = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_MISUSE,
    }
)
PRIMARY = 0xFF
"""The part of an error code of SQLite that names its kind."""


def is_trouble(error: Exception) -> bool:
    """Whether the database as a whole is in trouble: a fault of one statement, or of what it stores, is none."""
    if not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)
    return code & PRIMARY not in FAULTS_OF_A_STATEMENT or "no such" in str(error)


def unavailable(error: BaseException, path: Path) -> Unavailable:
    """What an error of the database means to a caller. The path is for operators: it shows only its name."""
    text = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error).lower()
    reasons = {
        "locked": "another process holds its lock",
        "busy": "another process holds its lock",
        "disk is full": "the disk is full",
        "readonly": "it is read-only",
        "malformed": "the file is corrupt; restore a backup",
        "not a database": "the file is no SQLite database; restore a backup",
        "symbolic links": f"a link lies beside {path.name}, and is not followed; run flask governance doctor",
        "unable to open": f"{path.name} cannot be opened",
        "no such file": f"{path.name} is missing; restore a backup",
        "no such table": "its tables are missing; restore a backup",
        "queuepool limit": "all its connections are busy",
    }
    reason = next((words for key, words in reasons.items() if key in text), "it failed")
    return Unavailable(f"Try again shortly: the database cannot answer, {reason}.", code=Code.DATABASE_UNAVAILABLE)
