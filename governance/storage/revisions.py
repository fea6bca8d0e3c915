"""The config revision and the tombstones.

Every management write raises the config revision first. A tombstone is the record of a deleted row.
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
    """Return the revision that this transaction sees."""
    return int(connection.execute(select(config_revision.c.revision)).scalar_one())


def advance(connection: Connection) -> int:
    """Raise the revision and return it.

    This is the first statement of a management write, so management writes run one after another.
    """
    raised = update(config_revision).values(revision=config_revision.c.revision + 1)
    return int(connection.execute(raised.returning(config_revision.c.revision)).scalar_one())


def add_tombstones(connection: Connection, entity: str, ids: Iterable[str], revision: int) -> None:
    """Store that these rows were deleted at `revision`."""
    rows = [{"entity": entity, "id": row_id, "revision": revision} for row_id in ids]
    if rows:
        connection.execute(_forget, [{"its_entity": entity, "its_id": row["id"]} for row in rows])
        connection.execute(insert(tombstones), rows)
