"""Virtual keys: rows in and out."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from governance.domain.keys import VirtualKey
from governance.domain.names import fold
from governance.domain.records.pages import Page
from governance.domain.records.stored import HeldKey
from governance.storage import paging, revisions
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
    return {row.id: VirtualKey._make(row) for row in paging.by_ids(connection, COLUMNS, ids)}


def page(connection: Connection, wanted: Page, search: str) -> tuple[list[VirtualKey], int]:
    """A page of virtual keys, newest first, and how many match the folded `search`."""
    rows, total = paging.page(connection, virtual_keys, COLUMNS, wanted, search)
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


def add_held(connection: Connection, held: Sequence[HeldKey], revision: int) -> None:
    """Store new virtual keys of a file."""
    if held:
        connection.execute(insert(virtual_keys), [_held_row(each, revision) for each in held])


def replace_held(connection: Connection, held: Sequence[HeldKey], revision: int) -> None:
    """Store edits by a file. Names and values are first taken off, so that two keys may change theirs over."""
    if held:
        rows = [_held_row(each, revision) | {"its_id": each.key.id} for each in held]
        own = virtual_keys.c.id == bindparam("its_id")
        aside = virtual_keys.c.id + func.char(0)
        connection.execute(update(virtual_keys).where(own).values(name=aside, digest=aside), _only_ids(rows))
        connection.execute(update(virtual_keys).where(own), rows)


def remove(connection: Connection, key_id: str, revision: int) -> None:
    """Delete a virtual key; its limits are the caller's to delete."""
    remove_all(connection, [key_id], revision)


def remove_all(connection: Connection, ids: Iterable[str], revision: int) -> None:
    """Delete virtual keys; their limits are the caller's to delete."""
    gone = [{"its_id": key_id} for key_id in ids]
    if gone:
        connection.execute(delete(virtual_keys).where(virtual_keys.c.id == bindparam("its_id")), gone)
    revisions.bury(connection, revisions.VIRTUAL_KEY, [row["its_id"] for row in gone], revision)


def _row(key: VirtualKey, revision: int) -> dict[str, Any]:
    return key._asdict() | {"search_name": fold(key.name), "revision": revision}


def _held_row(held: HeldKey, revision: int) -> dict[str, Any]:
    return _row(held.key, revision) | paging.origin(held)


def _only_ids(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"its_id": row["its_id"]} for row in rows]


def _key(row: Row[Any] | None) -> VirtualKey | None:
    return None if row is None else VirtualKey._make(row)
