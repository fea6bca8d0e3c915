"""What changed in the database since a mark: how the memory of a worker follows it."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import Counters, Limit, Scope
from governance.domain.records.changes import Changes, Mark, give_way
from governance.storage import revisions
from governance.storage.keys import api_keys
from governance.storage.keys.virtual_keys import virtual_keys as virtual_key_rows
from governance.storage.limits import states
from governance.storage.store import Database
from governance.storage.tables import api_keys as api_key_table
from governance.storage.tables import config_revision, counters, model_limits, rules, users, virtual_keys

SLICE = 2000
"""Rows that a first load fetches at a time: one call for all would stop every thread."""
TOGETHER = 5
"""Limits that a later one reads before it gives way: half a millisecond of work."""

_plain = select(*states.LIMIT_COLUMNS)
_limits_since = _plain.where(model_limits.c.revision > bindparam("since"))
_limits_by_id = _plain.where(model_limits.c.id.in_(bindparam("ids", expanding=True)))
_rules_by_id = states.counted_rules.where(rules.c.model_limit_id.in_(bindparam("ids", expanding=True)))
_touched = (
    select(rules.c.model_limit_id)
    .select_from(counters.join(rules))
    .where(counters.c.touched_at > bindparam("since"))
    .distinct()
)
_now = select(config_revision.c.revision, config_revision.c.touched_at)


class ChangesLoader:
    """Reads `Changes`, each in one transaction: the loader that the memory is handed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, since: Mark | None) -> Changes:
        """What changed since a mark, or all there is. Raises Unavailable."""
        with self._database.read() as connection:
            mark = Mark(self._database.file(), *connection.execute(_now).one())
            if since is None or since.file != mark.file or since > mark:
                return _everything(connection, mark)
            return _since(connection, since, mark)


def _everything(connection: Connection, mark: Mark) -> Changes:
    counted = states.group(_sliced(connection, states.counted_rules))
    limits = dict(_pairs(_sliced(connection, _plain), counted))
    keys = (api_keys.key_of(row) for row in connection.execute(select(*api_keys.COLUMNS)))
    return Changes(
        mark=mark,
        whole=True,
        limits=limits,
        gone=[],
        names=_names(connection, -1),
        api_keys={key.id: key for key in keys},
        virtual_keys=_virtual_keys(connection, -1),
    )


def _since(connection: Connection, since: Mark, mark: Mark) -> Changes:
    edited = since.revision != mark.revision
    ids = set(connection.execute(_touched, {"since": since.touched_at}).scalars())
    if edited:
        ids |= set(connection.execute(_limits_since, {"since": since.revision}).scalars())
    return Changes(
        mark=mark,
        whole=False,
        limits=_limits(connection, sorted(ids)),
        gone=revisions.deleted_since(connection, revisions.LIMIT, since.revision) if edited else [],
        names=_names(connection, since.revision) if edited else {},
        api_keys=_api_keys(connection, since.revision) if edited else {},
        virtual_keys=_virtual_keys(connection, since.revision) if edited else {},
    )


def _limits(connection: Connection, ids: list[str]) -> dict[str, tuple[Limit, Counters]]:
    found: dict[str, tuple[Limit, Counters]] = {}
    for begin in range(0, len(ids), TOGETHER):
        give_way()
        some = {"ids": ids[begin : begin + TOGETHER]}
        counted = states.group(connection.execute(_rules_by_id, some))
        found.update(_pairs(connection.execute(_limits_by_id, some), counted))
    give_way()
    return found


def _pairs(rows: Iterable[Any], counted: states.Counted) -> Iterable[tuple[str, tuple[Limit, Counters]]]:
    return ((row[0], states.limit_of(row, counted)) for row in rows)


def _sliced(connection: Connection, statement: Any) -> Iterable[Any]:
    """The rows of a large result, fetched some thousand at a time: one call would stop every thread."""
    result = connection.execute(statement.execution_options(yield_per=SLICE))
    return chain.from_iterable(result.partitions())


def _names(connection: Connection, since: int) -> dict[tuple[str, str], str | None]:
    found: dict[tuple[str, str], str | None] = {}
    kinds = ((Scope.VIRTUAL_KEY, virtual_keys, revisions.VIRTUAL_KEY), (Scope.USER, users, revisions.USER))
    for scope, table, entity in kinds:
        found.update({(scope, row_id): None for row_id in revisions.deleted_since(connection, entity, since)})
        rows = connection.execute(select(table.c.id, table.c.name).where(table.c.revision > since))
        found.update({(scope, row_id): name for row_id, name in rows})
    return found


def _api_keys(connection: Connection, since: int) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(revisions.deleted_since(connection, revisions.API_KEY, since))
    rows = connection.execute(select(*api_keys.COLUMNS).where(api_key_table.c.revision > since))
    found.update({key.id: key for key in map(api_keys.key_of, rows)})
    return found


def _virtual_keys(connection: Connection, since: int) -> dict[str, VirtualKey | None]:
    found: dict[str, VirtualKey | None] = dict.fromkeys(
        revisions.deleted_since(connection, revisions.VIRTUAL_KEY, since)
    )
    rows = connection.execute(select(*virtual_key_rows.columns).where(virtual_keys.c.revision > since))
    found.update({key.id: key for key in map(VirtualKey._make, rows)})
    return found
