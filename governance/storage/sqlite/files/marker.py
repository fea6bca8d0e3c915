"""Reads and writes the marker, a small JSON file next to the database file.

The marker contains the database's id, and the state of the database file when the service last used it. With the
marker, a start finds out whether the database file was lost, was replaced, or belongs to another service. The marker
contains no secret.
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
    """The content of a marker. A start compares the database file with these values.

    `stamp` and `changes` come from the header of the database file (see `header.py`). `size` and `mtime_ns` describe
    the database file after a clean stop. They are None while the service runs, and after it was killed. `inode` is the
    inode of the database file. `own_inode` is the inode of the marker. If the marker now has another inode, the whole
    folder was copied.
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
        """Read the marker of a database. Return None if there is none. Raises NotReady if it cannot be read."""
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
        """Return whether the service stopped cleanly, and the database file has not changed since then."""
        found = database.stat()
        return (self.size, self.mtime_ns) == (found.st_size, found.st_mtime_ns)

    def was_replaced(self, database: Path, header: FileHeader) -> bool:
        """Return whether another file has replaced the database file, for example a copy of the same database."""
        moved = path_of(database).stat().st_ino != self.own_inode
        other = not moved and database.stat().st_ino != self.inode
        return other or header.stamp != self.stamp or header.changes < self.changes


DAMAGED = "Remove {} and start again: it cannot be read, and is made anew from the database."


def path_of(database: Path) -> Path:
    """Return the path of the marker of a database."""
    return paths.beside(database, paths.MARKER)


def write(database: Path, database_id: str, *, stopped: bool) -> None:
    """Write the marker of a database file. Raises OSError.

    `stopped` is true if the service has stopped cleanly, and false if the database is in use.
    """
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
    """Return the path of a journal of the database (`-wal` or `-journal`) that is not empty, or None."""
    found = (paths.beside(database, end) for end in JOURNALS)
    return next((file for file in found if file.exists() and file.stat().st_size), None)


def _fits(name: str, value: Any) -> bool:
    if name == "database_id":
        return isinstance(value, str)
    return isinstance(value, int) or (value is None and name in {"size", "mtime_ns"})
