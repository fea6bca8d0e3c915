"""Reads and raises the config revision, and stores tombstones.

The config revision is a number. Every write to limits, virtual keys, users, prices or API keys (a management write)
raises it first. A tombstone is the record of a deleted row. Workers read revisions and tombstones to find out what has
changed.
"""

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from governance.storage.tables import config_revision, tombstones

LIMIT = "model_limit"
VIRTUAL_KEY = "virtual_key"
USER = "user"
API_KEY = "api_key"
PRICE = "price"

_forget = delete(tombstones).where(
    tombstones.c.entity == bindparam("its_entity"), tombstones.c.id == bindparam("its_id")
)


def current(connection: Connection) -> int:
    """Return the config revision, as this transaction sees it."""
    return int(connection.execute(select(config_revision.c.revision)).scalar_one())


def advance(connection: Connection) -> int:
    """Raise the config revision by 1 and return its new value.

    This is the first statement of every management write. All of them change the same row, so they run one after
    another.
    """
    raised = update(config_revision).values(revision=config_revision.c.revision + 1)
    return int(connection.execute(raised.returning(config_revision.c.revision)).scalar_one())


def add_tombstones(connection: Connection, entity: str, ids: Iterable[str], revision: int) -> None:
    """Store a tombstone for each of these rows. `revision` is the config revision of the write that deleted them."""
    rows = [{"entity": entity, "id": row_id, "revision": revision} for row_id in ids]
    if rows:
        connection.execute(_forget, [{"its_entity": entity, "its_id": row["id"]} for row in rows])
        connection.execute(insert(tombstones), rows)
