"""Examines a database file for the command `doctor`.

The functions find damage, the latest timestamp, sizes, the files next to the database, and the programs that use it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Column, func, select, union_all
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from governance.storage import tables
from governance.storage.sqlite import paths

INSTANTS = (
    tables.config_revision.c.touched_at,
    tables.model_limits.c.updated_at,
    tables.virtual_keys.c.updated_at,
    tables.users.c.updated_at,
    tables.prices.c.updated_at,
    tables.api_keys.c.created_at,
    tables.verifications.c.at,
    tables.audit.c.at,
)
"""The columns with times from the machine's clock."""


def unsound(connection: Connection) -> str | None:
    """Check the whole file. Return the first fault, or None if there is none."""
    found = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one())
    return None if found == "ok" else found.splitlines()[-1]


def newest(connection: Connection) -> int:
    """Return the latest stored timestamp, or 0 if there is none."""
    latest = union_all(*(select(func.max(column).label("at")) for column in INSTANTS)).subquery()
    return int(connection.execute(select(func.coalesce(func.max(latest.c.at), 0))).scalar_one())


PARTS = {
    "reservations": "reservations",
    "ledger": "ledger",
    "answers": "answers",
    "answer_texts": "answers",
    "idempotency": "answers",
    "counters": "counters",
    "audit": "audit",
}
"""For each table, the name under which `doctor` lists it. All other tables are listed together as `the rest`."""
REST = "the rest"
TABLES_BYTES = """
    SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize) FROM dbstat AS s LEFT JOIN sqlite_master AS m ON m.name = s.name
    WHERE s.aggregate = TRUE GROUP BY 1"""


class FileSpace(NamedTuple):
    """The size of a database file and of its unused pages, in bytes."""

    file: int
    free: int


def space(connection: Connection) -> FileSpace:
    """Return the size of the file and of its unused pages. Only the first page of the file is read."""
    size, pages, free = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_size", "page_count", "freelist_count")
    )
    return FileSpace(size * pages, size * free)


def parts(connection: Connection) -> dict[str, int]:
    """Return the number of bytes that tables and their indexes take, by the names in `PARTS`.

    This reads the whole file. The result is empty if this build of SQLite lacks the table `dbstat`.
    """
    found = dict.fromkeys([*PARTS.values(), REST], 0)
    try:
        rows = connection.exec_driver_sql(TABLES_BYTES).all()
    except OperationalError:  # this build of SQLite has no dbstat
        return {}
    for name, size in rows:
        found[PARTS.get(name, REST)] += size
    return found


def stored_rows(connection: Connection) -> dict[str, int]:
    """Return an upper bound of the number of rows in each table that grows with calls.

    The bound is computed from the lowest and the highest row number.
    """
    numbered = {"reservations": tables.reservations.c.seq, "answers": tables.answers.c.seq, "audit": tables.audit.c.seq}
    return {name: _span(connection, column) for name, column in numbered.items()}


def _span(connection: Connection, column: Column[int]) -> int:
    """Return an upper bound of the number of rows: the highest number in the column minus the lowest, plus 1.

    The two numbers are read by two statements, because a single statement for both would read the whole table.
    """
    first = connection.execute(select(func.coalesce(func.min(column), 1))).scalar_one()
    last = connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()
    return int(last - first + 1)


def journal_size(path: Path) -> int:
    """Return the size in bytes of a database's write-ahead log. Return 0 if there is no log."""
    log = paths.beside(path, paths.WAL)
    return log.stat().st_size if log.exists() else 0


def files(path: Path) -> list[Path]:
    """Return the existing files of a database.

    These are the database, the files that SQLite and this service keep next to it, copies that were made before
    migrations, and files that a restore has replaced.
    """
    beside = [paths.beside(path, end) for end in paths.BELONGINGS]
    copies = (file for kind in ("before", "replaced") for file in sorted(path.parent.glob(f"{path.name}.{kind}-*")))
    return [file for file in (*beside, *copies) if file.exists()]


def has_reset_fault(version: tuple[int, int, int]) -> bool:
    """Return whether a version of SQLite has a fault that can damage a database file.

    The fault can damage the file if one connection runs a checkpoint while another connection runs a checkpoint or
    writes. https://sqlite.org/wal.html#walresetbug
    """
    release = version[:2]
    return version < RESET_MENDED.get(release, (3, 51, 3))


RESET_MENDED = {(3, 44): (3, 44, 6), (3, 50): (3, 50, 7)}
"""For some older minor versions, the first release that contains the fix. All releases from 3.51.3 on contain it."""
SQLITE = sqlite3.sqlite_version_info


def shown_version() -> str:
    """Return SQLite's version, for example 3.53.0."""
    return ".".join(map(str, SQLITE))


def other_programs(path: Path) -> list[str]:
    """Return the programs other than Python that have the database open, for example `litestream (4711)`.

    Programs are found only on Linux.
    """
    return sorted(_named(process) for process in _openers(path) if not _program(process).startswith("python"))


def other_processes(path: Path) -> list[str]:
    """Return all other processes that have the database open, in the same form as `other_programs`."""
    return sorted(_named(process) for process in _openers(path) if process.name != str(os.getpid()))


def _openers(path: Path) -> Iterator[Path]:
    """Yield the /proc folder of each process that has a file open.

    Only processes whose open files this user may see are found.
    """
    real = path.resolve()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            if real in (descriptor.readlink() for descriptor in (process / "fd").iterdir()):
                yield process


def _program(process: Path) -> str:
    with suppress(OSError):
        return (process / "exe").readlink().name
    return ""


def _named(process: Path) -> str:
    with suppress(OSError):
        return f"{(process / 'comm').read_text().strip()} ({process.name})"
    return f"a process ({process.name})"
