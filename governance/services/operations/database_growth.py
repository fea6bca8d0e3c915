"""Reads the sizes of the database and of its growing tables, and the free space on its disk, for `/metrics`.

This takes the same time for a small and a large database.
"""

from shutil import disk_usage
from typing import NamedTuple

from governance.storage.sqlite.files import inspection
from governance.storage.store import Database


class Sizes(NamedTuple):
    """The sizes of the database and its disk.

    `bytes` contains the bytes of the file, of its free pages and of the journal. `rows` contains an upper bound of the
    number of rows in each table that grows with calls. `disk_free` is the number of free bytes on the disk.
    """

    bytes: dict[str, int]
    rows: dict[str, int]
    disk_free: int


class Growth:
    """Reads the sizes of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self) -> Sizes:
        """Return the current sizes. Raises Unavailable."""
        with self._database.read() as connection:
            found, rows = inspection.space(connection), inspection.stored_rows(connection)
        journal = inspection.journal_size(self._database.path)
        free = disk_usage(self._database.path.parent).free
        return Sizes({"file": found.file, "free": found.free, "journal": journal}, rows, free)
