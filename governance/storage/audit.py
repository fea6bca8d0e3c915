"""Stores and reads the audit log, and finds what a management write has changed.

A management write changes limits, keys, users or prices in one transaction. It first raises the config revision, a
number in the database. Every managed row contains the revision of its last write. A tombstone, the record of a deleted
row, contains the revision of the deletion. So the changes of a write can be found inside its transaction. Until the
commit, other connections still see the rows as they were before the write.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, bindparam, func, insert, literal, select, union
from sqlalchemy.engine import Connection

from governance.domain.records.audit import AuditQuery, Entity, Entry, RecordedEntry
from governance.storage import revisions, tables
from governance.storage.keys import api_keys
from governance.storage.keys.users import users
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import states
from governance.storage.pricing.price_overrides import price_overrides
from governance.storage.tables import audit, config_revision, counters, rules, tombstones

SLICE = 500


class AuditedTable(NamedTuple):
    """How one kind of entity is stored.

    `table` contains its rows. `tombstone` is the name of the kind in tombstones. `by_ids` returns a LimitState,
    VirtualKey, User, ApiKey or PriceOverride for each id, as the given connection sees it.
    """

    table: Table
    tombstone: str
    by_ids: Callable[[Connection, Sequence[str]], Mapping[str, Any]]


KINDS: dict[Entity, AuditedTable] = {
    Entity.MODEL_CONFIG: AuditedTable(tables.model_limits, revisions.LIMIT, states.by_ids),
    Entity.VIRTUAL_KEY: AuditedTable(tables.virtual_keys, revisions.VIRTUAL_KEY, virtual_keys.by_ids),
    Entity.USER: AuditedTable(tables.users, revisions.USER, users.by_ids),
    Entity.API_KEY: AuditedTable(tables.api_keys, revisions.API_KEY, api_keys.by_ids),
    Entity.PRICE: AuditedTable(tables.prices, revisions.PRICE, price_overrides.by_ids),
}

_written = [
    select(literal(entity.value).label("entity"), kind.table.c.id).where(kind.table.c.revision == bindparam("revision"))
    for entity, kind in KINDS.items()
]
_removed = [
    select(literal(entity.value).label("entity"), tombstones.c.id).where(
        tombstones.c.entity == kind.tombstone, tombstones.c.revision == bindparam("revision")
    )
    for entity, kind in KINDS.items()
]
_counted = (
    select(literal(Entity.MODEL_CONFIG.value).label("entity"), rules.c.model_limit_id)
    .select_from(counters.join(rules))
    .where(counters.c.touched_at > bindparam("touched_at"))
)
_touched = union(*_written, *_removed, _counted).order_by("entity", "id")

CONDITIONS: dict[str, ColumnElement[bool]] = {
    **{name: audit.c[name] == bindparam(name) for name in ("entity", "entity_id", "actor", "action")},
    "since": audit.c.at >= bindparam("since"),
    "until": audit.c.at < bindparam("until"),
    "hidden": audit.c.entity != bindparam("hidden"),
}


def touched(connection: Connection, committed: Connection, revision: int) -> dict[Entity, list[str]]:
    """Return the ids of the rows that the write with `revision` changed, by kind.

    `connection` runs the write. The connection `committed` does not see the write yet.
    """
    before = committed.execute(select(config_revision.c.touched_at)).scalar_one()
    found: dict[Entity, list[str]] = {}
    for entity, row_id in connection.execute(_touched, {"revision": revision, "touched_at": before}):
        found.setdefault(Entity(entity), []).append(row_id)
    return found


def add(connection: Connection, entries: Iterable[Entry]) -> None:
    """Store entries, in the given order."""
    rows = [entry._asdict() for entry in entries]
    if rows:
        connection.execute(insert(audit), rows)


def page(connection: Connection, query: AuditQuery) -> tuple[list[RecordedEntry], int]:
    """Return a page of entries, newest first, and the number of all matching entries."""
    wanted = {name: value for name, value in query._asdict().items() if name in CONDITIONS and value is not None}
    matches = [CONDITIONS[name] for name in wanted]
    total = connection.execute(select(func.count()).select_from(audit).where(*matches), wanted).scalar_one()
    columns = [audit.c[name] for name in ("seq", *Entry._fields)]
    rows = select(*columns).where(*matches).order_by(audit.c.seq.desc())
    found = connection.execute(rows.limit(query.page.limit).offset(query.page.offset), wanted)
    return [RecordedEntry(seq, Entry._make(entry)) for seq, *entry in found], total
