"""The operations that users and virtual keys have in common: list, read and change."""

from collections.abc import Mapping
from typing import Any, Generic

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, Conflict, NotFound
from governance.domain.names import fold
from governance.domain.records.list_query import Page
from governance.services.random_ids import RandomIds
from governance.services.writing import Write, Writer
from governance.storage.named_rows import HeldT, NamedRows, NamedT
from governance.storage.store import Database

STALE = "Read it again and repeat your edit: somebody else has changed it meanwhile."


def refuse_stale(seen: int | None, updated_at: int) -> None:
    """Raise Conflict if an edit is based on a version other than the stored one.

    If `seen` is None, every version is accepted.
    """
    if seen not in (None, updated_at):
        raise Conflict(STALE, code=Code.STALE_VERSION)


class NamedEntries(Generic[NamedT, HeldT]):
    """The operations on entries with an id and a name.

    A subclass sets `rows` to the object that reads and writes its table. It sets `missing` to the message and the code
    of its NotFound error.
    """

    rows: NamedRows[NamedT, HeldT]
    missing: tuple[str, Code]

    def __init__(self, database: Database, writer: Writer, random_ids: RandomIds) -> None:
        self._database = database
        self._writer = writer
        self._random_ids = random_ids

    def page(self, page: Page, search: str) -> tuple[list[NamedT], int]:
        """Return a page of the entries whose name contains `search`, and the number of all such entries."""
        with self._database.read() as connection:
            return self.rows.page(connection, page, fold(search))

    def get(self, row_id: str) -> NamedT:
        """Return one entry. Raises NotFound."""
        with self._database.read() as connection:
            return self._stored(connection, row_id)

    def change(self, row_id: str, body: Mapping[str, Any], *, seen: int | None = None) -> NamedT:
        """Store an edit.

        If `seen` is given, `updated_at` of the stored entry must be equal to it. Raises NotFound, InvalidRequest,
        Conflict.
        """
        with self._writer.write() as write:
            before = self._stored(write.connection, row_id)
            refuse_stale(seen, before.updated_at)
            after = before._replace(**body)
            if after == before:
                return before
            self._check(write, before, after)
            after = after._replace(updated_at=write.now)
            self.rows.replace(write.connection, after, write.revision)
        return after

    def _stored(self, connection: Connection, row_id: str) -> NamedT:
        found = self.rows.get(connection, row_id)
        if found is None:
            sentence, code = self.missing
            raise NotFound(sentence, code=code)
        return found

    def _check(self, write: Write, before: NamedT, after: NamedT) -> None:
        """Check an edit. A subclass may override this method. Raises InvalidRequest, Conflict."""
