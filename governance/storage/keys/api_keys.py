"""Reads and writes API keys. Revoking a key deletes its row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from governance.domain.keys import ApiKey, KeyScope
from governance.domain.records.list_query import Page
from governance.storage import paging, revisions
from governance.storage.tables import api_keys

COLUMNS = [api_keys.c[name] for name in ApiKey._fields]


def by_digest(connection: Connection, digest: str) -> ApiKey | None:
    """Return the key whose secret has this digest, or None."""
    row = connection.execute(select(*COLUMNS).where(api_keys.c.digest == digest)).one_or_none()
    return None if row is None else key_of(row)


def by_ids(connection: Connection, ids: Sequence[str]) -> dict[str, ApiKey]:
    """Return the keys with these ids, by id."""
    return {row.id: key_of(row) for row in paging.by_ids(connection, COLUMNS, ids)}


def count(connection: Connection) -> int:
    """Return the number of stored keys."""
    return int(connection.execute(select(func.count()).select_from(api_keys)).scalar_one())


def every(connection: Connection) -> list[ApiKey]:
    """Return all keys. A service has only a few."""
    return [key_of(row) for row in connection.execute(select(*COLUMNS))]


def any_may(connection: Connection, scope: KeyScope, now: int) -> bool:
    """Return whether an unexpired key with this scope is stored."""
    return any(key.live(now) and key.may(scope) for key in every(connection))


def page(connection: Connection, wanted: Page) -> tuple[list[ApiKey], int]:
    """Return a page of keys, newest first, and the number of all keys."""
    rows, total = paging.page(connection, api_keys, COLUMNS, wanted)
    return [key_of(row) for row in rows], total


def add(connection: Connection, key: ApiKey, revision: int) -> None:
    """Store a new key."""
    row = key._asdict() | {"scopes": " ".join(key.scopes), "revision": revision}
    connection.execute(insert(api_keys).values(row))


def remove(connection: Connection, key_id: str, revision: int) -> bool:
    """Delete a key. Return False if there is none."""
    gone = connection.execute(delete(api_keys).where(api_keys.c.id == key_id)).rowcount > 0
    if gone:
        revisions.add_tombstones(connection, revisions.API_KEY, [key_id], revision)
    return gone


def note_use(connection: Connection, used: Mapping[str, int]) -> None:
    """Store when keys were last used. `used` contains the instant of the last use by key id.

    An earlier instant never replaces a later one. This write does not raise the config revision, as an edit of a key
    would.
    """
    later = (
        update(api_keys)
        .where(api_keys.c.id == bindparam("key"), func.coalesce(api_keys.c.last_used_at, 0) < bindparam("at"))
        .values(last_used_at=bindparam("at"))
    )
    connection.execute(later, [{"key": key_id, "at": at} for key_id, at in used.items()])


def key_of(row: Row[Any]) -> ApiKey:
    """Build the key from a row of `COLUMNS`."""
    key = ApiKey._make(row)
    return key._replace(scopes=tuple(row.scopes.split()))
