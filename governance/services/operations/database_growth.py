"""The sizes of the database and of the tables that grow, for `/metrics`. Reading them takes constant time."""

from typing import NamedTuple

from governance.storage.sqlite.files import inspection
from governance.storage.store import Database


class Sizes(NamedTuple):
    """The bytes of each part (file, free, journal), and an upper bound of the rows in each table that grows."""

    bytes: dict[str, int]
    rows: dict[str, int]


class Growth:
    """Reads the sizes of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self) -> Sizes:
        """Return the current sizes. Raises Unavailable."""
        with self._database.read() as connection:
            found, rows = inspection.space(connection), inspection.stored_rows(connection)
        journal = inspection.journal_size(self._database.path)
        return Sizes({"file": found.file, "free": found.free, "journal": journal}, rows)
