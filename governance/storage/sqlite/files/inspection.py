"""What a doctor asks of a database file: is it sound, how far has its time come, what lies beside it."""

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
    tables.api_keys.c.created_at,
    tables.verifications.c.at,
    tables.audit.c.at,
)
"""What is noted with the clock of the moment."""


def unsound(connection: Connection) -> str | None:
    """The first thing that is wrong with the file, looked through as a whole; None where it is sound."""
    found = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one())
    return None if found == "ok" else found.splitlines()[-1]


def newest(connection: Connection) -> int:
    """The latest instant that was noted; 0 where nothing was."""
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
"""What a table is shown as; all others are `the rest`."""
REST = "the rest"
TABLES_BYTES = """
    SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize) FROM dbstat AS s LEFT JOIN sqlite_master AS m ON m.name = s.name
    WHERE s.aggregate = TRUE GROUP BY 1"""


class FileSpace(NamedTuple):
    """The bytes of a database file, and those of them that nothing uses."""

    file: int
    free: int


def space(connection: Connection) -> FileSpace:
    """How large the file is: a look at its first page."""
    size, pages, free = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_size", "page_count", "freelist_count")
    )
    return FileSpace(size * pages, size * free)


def parts(connection: Connection) -> dict[str, int]:
    """Of what the file consists, in bytes with all indexes; reads all of it. Empty where this SQLite cannot tell."""
    found = dict.fromkeys([*PARTS.values(), REST], 0)
    try:
        rows = connection.exec_driver_sql(TABLES_BYTES).all()
    except OperationalError:  # SQLite without dbstat
        return {}
    for name, size in rows:
        found[PARTS.get(name, REST)] += size
    return found


def stored_rows(connection: Connection) -> dict[str, int]:
    """At most how many rows the tables have that grow with calls: from their first and last numbers, without a scan."""
    numbered = {"reservations": tables.reservations.c.seq, "answers": tables.answers.c.seq, "audit": tables.audit.c.seq}
    return {name: _span(connection, column) for name, column in numbered.items()}


def _span(connection: Connection, column: Column[int]) -> int:
    """From two statements: one alone would read the whole table."""
    first = connection.execute(select(func.coalesce(func.min(column), 1))).scalar_one()
    last = connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()
    return int(last - first + 1)


def journal_size(path: Path) -> int:
    """The bytes of the write-ahead log beside a database file."""
    log = paths.beside(path, paths.WAL)
    return log.stat().st_size if log.exists() else 0


def files(path: Path) -> list[Path]:
    """The files in which a database lies: itself, what SQLite keeps beside it, and the copies before migrations."""
    beside = [paths.beside(path, end) for end in paths.BELONGINGS]
    copies = (file for kind in ("before", "replaced") for file in sorted(path.parent.glob(f"{path.name}.{kind}-*")))
    return [file for file in (*beside, *copies) if file.exists()]


def has_reset_fault(version: tuple[int, int, int]) -> bool:
    """Whether this version of SQLite may ruin a file where two connections checkpoint, or one writes, at once.

    https://sqlite.org/wal.html#walresetbug
    """
    release = version[:2]
    return version < RESET_MENDED.get(release, (3, 51, 3))


RESET_MENDED = {(3, 44): (3, 44, 6), (3, 50): (3, 50, 7)}
"""In which versions of older releases it was mended; in all others by 3.51.3."""
SQLITE = sqlite3.sqlite_version_info


def shown_version() -> str:
    """SQLite's version, such as 3.53.0."""
    return ".".join(map(str, SQLITE))


def other_programs(path: Path) -> list[str]:
    """Programs beside Python's own that have the database open: `litestream (4711)`. Linux alone can tell."""
    return sorted(_named(process) for process in _openers(path) if not _program(process).startswith("python"))


def other_processes(path: Path) -> list[str]:
    """All processes beside this one that have the database open, told as programs are."""
    return sorted(_named(process) for process in _openers(path) if process.name != str(os.getpid()))


def _openers(path: Path) -> Iterator[Path]:
    """The folders in /proc of the processes that have a file open, as far as this user may see them."""
    real = path.resolve()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
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
