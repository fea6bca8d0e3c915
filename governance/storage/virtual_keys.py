"""Virtual keys: rows in and out."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Row

from governance.domain.keys import VirtualKey
from governance.domain.names import fold
from governance.domain.pages import Page
from governance.storage import named, revisions
from governance.storage.tables import virtual_keys

COLUMNS = [virtual_keys.c[name] for name in VirtualKey._fields]


def get(connection: Connection, key_id: str) -> VirtualKey | None:
    """The virtual key with this id."""
    return _key(connection.execute(select(*COLUMNS).where(virtual_keys.c.id == key_id)).one_or_none())


def clash(connection: Connection, key: VirtualKey) -> str | None:
    """The column (`name` or `digest`) in which another stored key equals this one."""
    for name in ("name", "digest"):
        same = select(virtual_keys.c.id).where(virtual_keys.c[name] == getattr(key, name), virtual_keys.c.id != key.id)
        if connection.execute(same).first() is not None:
            return name
    return None


def by_ids(connection: Connection, ids: Sequence[str]) -> dict[str, VirtualKey]:
    """The virtual keys with these ids, by id."""
    return {row.id: VirtualKey._make(row) for row in named.by_ids(connection, COLUMNS, ids)}


def page(connection: Connection, wanted: Page, search: str) -> tuple[list[VirtualKey], int]:
    """A page of virtual keys, newest first, and how many match the folded `search`."""
    rows, total = named.page(connection, virtual_keys, COLUMNS, wanted, search)
    return [VirtualKey._make(row) for row in rows], total


def add(connection: Connection, key: VirtualKey, revision: int) -> None:
    """Store a new virtual key."""
    add_all(connection, [key], revision)


def add_all(connection: Connection, new: Sequence[VirtualKey], revision: int) -> None:
    """Store new virtual keys."""
    if new:
        connection.execute(insert(virtual_keys), [_row(key, revision) for key in new])


def replace(connection: Connection, key: VirtualKey, revision: int) -> None:
    """Store an edit."""
    connection.execute(update(virtual_keys).where(virtual_keys.c.id == key.id).values(_row(key, revision)))


def remove(connection: Connection, key_id: str, revision: int) -> None:
    """Delete a virtual key; its limits are the caller's to delete."""
    connection.execute(delete(virtual_keys).where(virtual_keys.c.id == key_id))
    revisions.bury(connection, revisions.VIRTUAL_KEY, [key_id], revision)


def _row(key: VirtualKey, revision: int) -> dict[str, Any]:
    return key._asdict() | {"search_name": fold(key.name), "revision": revision}


def _key(row: Row[Any] | None) -> VirtualKey | None:
    return None if row is None else VirtualKey._make(row)
