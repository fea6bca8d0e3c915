"""How large the database is and what grows in it, at no cost that grows with it: for `/metrics`."""

from typing import NamedTuple

from governance.storage.sqlite.files import inspection
from governance.storage.store import Database


class Sizes(NamedTuple):
    """Bytes by part (file, free, journal), and at most how many rows the growing tables have."""

    bytes: dict[str, int]
    rows: dict[str, int]


class Growth:
    """Looks at the database file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self) -> Sizes:
        """The sizes of now. Raises Unavailable."""
        with self._database.read() as connection:
            found, rows = inspection.space(connection), inspection.stored_rows(connection)
        journal = inspection.journal_size(self._database.path)
        return Sizes({"file": found.file, "free": found.free, "journal": journal}, rows)
