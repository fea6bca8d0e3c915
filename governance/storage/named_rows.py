"""Reads and writes the rows of users, virtual keys and price overrides.

The config revision is a number that every change of limits, keys, users or prices raises. `revision` is its new value.
A held value (`ManagedUser`, `ManagedKey` or `ManagedPrice`) is a value together with the config file that created it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Table, bindparam, delete, insert, update
from sqlalchemy.engine import Connection

from governance.domain.keys import User, VirtualKey
from governance.domain.names import fold
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.records.list_query import Page
from governance.domain.records.stored import ManagedKey, ManagedPrice, ManagedUser
from governance.storage import paging, revisions

NamedT = TypeVar("NamedT", User, VirtualKey, PriceOverride)
HeldT = TypeVar("HeldT", ManagedUser, ManagedKey, ManagedPrice)

UNPRINTABLE = "\x1f"
"""A character with which no name or digest begins."""


class NamedRows(Generic[NamedT, HeldT]):
    """Reads and writes the rows of one table as values of one type, for example `User`."""

    def __init__(self, table: Table, kind: type[NamedT], entity: str) -> None:
        self.table = table
        self.columns = [table.c[name] for name in kind._fields]
        self.own = table.c.id == bindparam("its_id")
        self._kind: type[NamedT] = kind
        self._entity = entity

    def get(self, connection: Connection, row_id: str) -> NamedT | None:
        """Return the value with this id, or None."""
        return self.by_ids(connection, [row_id]).get(row_id)

    def by_ids(self, connection: Connection, ids: Sequence[str]) -> dict[str, NamedT]:
        """Return a dict from id to value for these ids."""
        return {row.id: self._kind._make(row) for row in paging.by_ids(connection, self.columns, ids)}

    def page(self, connection: Connection, wanted: Page, search: str) -> tuple[list[NamedT], int]:
        """Return a page of the values whose name contains `search`, newest first, and the number of all such values.

        `search` must be folded, which means normalized and in lower case (see `fold`).
        """
        rows, total = paging.page(connection, self.table, self.columns, wanted, search)
        return [self._kind._make(row) for row in rows], total

    def add(self, connection: Connection, new: NamedT, revision: int) -> None:
        """Store a new value."""
        self.add_all(connection, [new], revision)

    def add_all(self, connection: Connection, new: Sequence[NamedT], revision: int) -> None:
        """Store new values."""
        if new:
            connection.execute(insert(self.table), [_row(each, revision) for each in new])

    def replace(self, connection: Connection, edited: NamedT, revision: int) -> None:
        """Overwrite the row of a value that was edited."""
        connection.execute(update(self.table).where(self.table.c.id == edited.id).values(_row(edited, revision)))

    def add_held(self, connection: Connection, held: Sequence[HeldT], revision: int) -> None:
        """Store new values from a config file."""
        if held:
            connection.execute(insert(self.table), [_held_row(each, revision) for each in held])

    def replace_held(self, connection: Connection, held: Sequence[HeldT], revision: int) -> None:
        """Overwrite the rows of values that a config file has edited."""
        if held:
            rows = [_held_row(each, revision) for each in held]
            connection.execute(update(self.table).where(self.own), [row | {"its_id": row["id"]} for row in rows])

    def remove(self, connection: Connection, row_id: str, revision: int) -> None:
        """Delete a row. Limits that refer to its id stay, unless the caller deletes them."""
        self.remove_all(connection, [row_id], revision)

    def remove_all(self, connection: Connection, ids: Iterable[str], revision: int) -> None:
        """Delete rows. Limits that refer to their ids stay, unless the caller deletes them."""
        gone = [{"its_id": row_id} for row_id in ids]
        if gone:
            connection.execute(delete(self.table).where(self.own), gone)
        revisions.add_tombstones(connection, self._entity, [row["its_id"] for row in gone], revision)


def _row(named: User | VirtualKey | PriceOverride, revision: int) -> dict[str, Any]:
    return named._asdict() | {"search_name": fold(named.name), "revision": revision}


def _held_row(held: ManagedUser | ManagedKey | ManagedPrice, revision: int) -> dict[str, Any]:
    origin = {"config_hash": held.config_hash, "source": held.source.name, "place": held.source.place}
    return _row(held[0], revision) | origin
