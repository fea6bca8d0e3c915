"""The marker beside a database file: which database lies there, and how its file was when the service last saw it.

A lost, replaced or foreign file is told by it. It is no secret, and worth nothing without the database.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple, Self

from governance.domain.errors import NotReady
from governance.storage import private_files
from governance.storage.sqlite import paths
from governance.storage.sqlite.files.header import FileHeader

JOURNALS = (paths.WAL, paths.JOURNAL)


class Marker(NamedTuple):
    """What a start compares a database file with.

    `size` and `mtime_ns` are the file's after a clean stop; None while the service runs, and after it was killed.
    `inode` is the database's, `own_inode` the marker's: where that is another now, the folder was copied as a whole.
    """

    database_id: str
    stamp: int
    changes: int
    inode: int
    own_inode: int
    size: int | None = None
    mtime_ns: int | None = None

    @classmethod
    def read(cls, database: Path) -> Self | None:
        """The marker of a database; None where there is none. Raises NotReady where it cannot be understood."""
        path = path_of(database)
        try:
            found = json.loads(private_files.read(path))
            if isinstance(found, dict) and all(_fits(name, found.get(name)) for name in cls._fields):
                return cls(**{name: found[name] for name in cls._fields})
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise NotReady(DAMAGED.format(path)) from error
        raise NotReady(DAMAGED.format(path))

    def is_of(self, database: Path) -> bool:
        """Whether the file is unchanged since a clean stop."""
        found = database.stat()
        return (self.size, self.mtime_ns) == (found.st_size, found.st_mtime_ns)

    def was_replaced(self, database: Path, header: FileHeader) -> bool:
        """Whether another file, be it a copy of the same database, lies in the place of the one that was marked."""
        moved = path_of(database).stat().st_ino != self.own_inode
        other = not moved and database.stat().st_ino != self.inode
        return other or header.stamp != self.stamp or header.changes < self.changes


DAMAGED = "Remove {} and start again: it cannot be read, and is made anew from the database."


def path_of(database: Path) -> Path:
    """Where the marker of a database lies."""
    return paths.beside(database, paths.MARKER)


def write(database: Path, database_id: str, *, stopped: bool) -> None:
    """Mark a database file as it is now: in use, or `stopped` cleanly. Raises OSError."""
    header, found = FileHeader.of(database), database.stat()
    path = path_of(database)
    with private_files.beside(path) as part:
        marker = Marker(
            database_id=database_id,
            stamp=header.stamp if header else 0,
            changes=header.changes if header else 0,
            inode=found.st_ino,
            own_inode=part.stat().st_ino,
            size=found.st_size if stopped else None,
            mtime_ns=found.st_mtime_ns if stopped else None,
        )
        private_files.fill(part, json.dumps(marker._asdict()).encode() + b"\n")
        part.replace(path)
    private_files.sync(path.parent)


def journal_beside(database: Path) -> Path | None:
    """A journal with something in it beside a database file."""
    found = (paths.beside(database, end) for end in JOURNALS)
    return next((file for file in found if file.exists() and file.stat().st_size), None)


def _fits(name: str, value: Any) -> bool:
    if name == "database_id":
        return isinstance(value, str)
    return isinstance(value, int) or (value is None and name in {"size", "mtime_ns"})
