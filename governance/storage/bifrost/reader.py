"""Reads the SQLite database of Bifrost, an LLM gateway, of any version, even while Bifrost writes to it.

Nothing is written to the database. If the file is in WAL mode and no process has it open, it usually has no `-wal`
file. A normal open would then create a `-wal` file, even for reading, and Bifrost might have no permission to write to
that file. So the file is opened as immutable: SQLite then creates no other file. If the file changes in the meantime,
it is read again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import column, select, table

from governance.domain.bifrost.rows import (
    BifrostRows,
    BudgetRow,
    KeyRow,
    LimitRow,
    PriceRow,
    ProviderConfigRow,
    ProviderRow,
    RateLimitRow,
)
from governance.domain.errors import GovernanceError, InvalidRequest, Unavailable
from governance.storage.bifrost import unread

MAGIC = b"SQLite format 3\x00"
WRITE_VERSION = 18
WAL = 2
TABLES: dict[str, Any] = {
    "governance_virtual_keys": KeyRow,
    "governance_model_configs": LimitRow,
    "governance_budgets": BudgetRow,
    "governance_rate_limits": RateLimitRow,
    "config_providers": ProviderRow,
    "governance_virtual_key_provider_configs": ProviderConfigRow,
    "governance_pricing_overrides": PriceRow,
}
EVIDENCE = ("governance_virtual_keys", "governance_model_configs")
"""Tables by which a database of Bifrost is recognized. Every such database contains at least one of them."""
ORDER = ("created_at", "id")
GIVE = "Give the path of Bifrost's SQLite store"


def read(path: Path, busy_timeout: float) -> BifrostRows:
    """Read the rows of a database that the import needs, in one transaction. Raises InvalidRequest, Unavailable."""
    with _errors_as_sentences(path):
        file = path.resolve(strict=True)
        store = _read_immutable(file, busy_timeout) if _is_closed(file) else None
        return store or _rows(file, busy_timeout, "mode=ro")


def _read_immutable(file: Path, busy_timeout: float) -> BifrostRows | None:
    """Return the rows of a file that no process has open.

    Return None if a process opened or changed it in the meantime.
    """
    before = _fingerprint(file)
    try:
        store = _rows(file, busy_timeout, "mode=ro&immutable=1")
    except sqlite3.Error:
        if _fingerprint(file) == before:
            raise
        return None
    return store if _fingerprint(file) == before else None


def _is_closed(file: Path) -> bool:
    """Return whether a file is in WAL mode and has no `-wal` file.

    Raises DatabaseError if the file is not an SQLite database.
    """
    with file.open("rb") as opened:
        head = opened.read(100)
    if not head.startswith(MAGIC):
        raise sqlite3.DatabaseError("not a database")
    return head[WRITE_VERSION] == WAL and not _log(file).exists()


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _fingerprint(file: Path) -> tuple[int, int, int, bool]:
    """Return values that differ if a process has opened the file or written to it."""
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size, _log(file).exists()


def _rows(file: Path, busy_timeout: float, mode: str) -> BifrostRows:
    name = f"file:{quote(str(file))}?{mode}"
    with closing(sqlite3.connect(name, uri=True, timeout=busy_timeout, isolation_level=None)) as connection:
        connection.text_factory = _text
        connection.execute("BEGIN")
        columns = {name: _columns(connection, name) for name in (*TABLES, *_names(connection))}
        if not any(columns[name] for name in EVIDENCE):
            raise InvalidRequest(f"{GIVE}: {file} has none of its tables.")
        known = {name: set(row_type._fields) for name, row_type in TABLES.items()}
        read_rows = [tuple(_table(connection, name, columns[name])) for name in TABLES]
        rest = unread.references(connection, known, columns), unread.unread(connection, known, columns)
        return BifrostRows._make([*read_rows, *map(tuple, rest)])


def _text(raw: bytes) -> str | bytes:
    """Convert bytes to text.

    Bytes that are not UTF-8 stay bytes. So the import refuses only the row that contains them, not the whole file.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _names(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all tables except virtual tables.

    A virtual table may need a module that this SQLite does not have.
    """
    plain = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    return [str(row[0]) for row in connection.execute(plain)]


def _columns(connection: sqlite3.Connection, name: str) -> set[str]:
    """Return the columns of a table in this version of the database.

    The result is empty if the database has no such table.
    """
    return {str(row[0]) for row in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))}


def _table(connection: sqlite3.Connection, name: str, known: set[str]) -> Iterator[Any]:
    """Yield the rows of a table, oldest first. The value of a column that the table lacks is None."""
    row_type = TABLES[name]
    wanted = [field for field in row_type._fields if field in known]
    if not wanted:
        return
    columns: list[Any] = [column(field) for field in wanted]
    order: list[Any] = [column(field) for field in ORDER if field in known]
    rows = select(*columns).select_from(table(name)).order_by(*order)
    for row in connection.execute(str(rows)):
        yield row_type(**dict(zip(wanted, row, strict=True)))


@contextmanager
def _errors_as_sentences(path: Path) -> Iterator[None]:
    """Turn an error of the file or of SQLite into an InvalidRequest or Unavailable with one sentence."""
    try:
        yield
    except OSError as error:
        raise InvalidRequest(f"{GIVE}: {path} cannot be read, {error.strerror}.") from error
    except sqlite3.Error as error:
        raise _fault(path, str(error)) from error


def _fault(path: Path, text: str) -> GovernanceError:
    if "locked" in text or "busy" in text:
        return Unavailable(f"Try again shortly: another process holds the lock of {path}.")
    reasons = {
        "not a database": "is no SQLite database, or an encrypted one",
        "malformed": "is damaged",
        "unable to open": "cannot be opened; read it as a user who may also read its -wal and -shm",
        "readonly": "holds an unfinished transaction; start and stop Bifrost once",
    }
    reason = next((words for key, words in reasons.items() if key in text), f"cannot be read ({text})")
    return InvalidRequest(f"{GIVE}: {path} {reason}.")
