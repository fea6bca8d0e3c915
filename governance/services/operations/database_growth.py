"""The sizes of the database, of its disk and of the tables that grow, for `/metrics`. This takes constant time."""

from shutil import disk_usage
from typing import NamedTuple

from governance.storage.sqlite.files import inspection
from governance.storage.store import Database


class Sizes(NamedTuple):
    """The bytes of each part (file, free, journal), a bound of each growing table's rows, and the disk's free bytes."""

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
