"""Loads everything that changed in the database since a mark, for a worker's snapshot.

The snapshot is the worker's copy of the database in memory. A mark identifies a state of the database. It consists of
the database file's identity, the config revision, and the time of the last write to a counter. The config revision is a
number that each edit of limits, keys, users or prices raises.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits.limit import Counters, Limit, Scope
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.records.changes import Changes, Mark, yield_gil
from governance.storage import revisions
from governance.storage.keys import api_keys
from governance.storage.keys.virtual_keys import virtual_keys as virtual_key_rows
from governance.storage.limits import states
from governance.storage.pricing.price_overrides import price_overrides
from governance.storage.store import Database
from governance.storage.tables import api_keys as api_key_table
from governance.storage.tables import (
    config_revision,
    counters,
    model_limits,
    prices,
    rules,
    tombstones,
    users,
    virtual_keys,
)

SLICE = 2000
"""The number of rows that the first load fetches at a time.

Fetching all rows in one call would stop every other thread.
"""
TOGETHER = 5
"""The number of limits that a later load reads before other threads may run. Reading them takes half a millisecond."""

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
_gone_since = select(tombstones.c.entity, tombstones.c.id).where(tombstones.c.revision > bindparam("since"))
_api_keys_since = select(*api_keys.COLUMNS).where(api_key_table.c.revision > bindparam("since"))
_virtual_keys_since = select(*virtual_key_rows.columns).where(virtual_keys.c.revision > bindparam("since"))
_users_since = select(users.c.id, users.c.name).where(users.c.revision > bindparam("since"))
_prices_since = select(*price_overrides.columns).where(prices.c.revision > bindparam("since"))
_now = select(config_revision.c.revision, config_revision.c.touched_at)


class ChangesLoader:
    """Loads the changes for the snapshot. Each call reads the database in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, since: Mark | None) -> Changes:
        """Return the changes since a mark. Raises Unavailable.

        Return all rows if the mark is None, belongs to another database file, or is later than the state of the
        database.
        """
        with self._database.read() as connection:
            mark = Mark(self._database.file(), *connection.execute(_now).one())
            if since is None or since.file != mark.file or since > mark:
                return _everything(connection, mark)
            changes = Changes(mark, whole=False, limits={}, gone=[], names={}, api_keys={}, virtual_keys={})
            ids = set(connection.execute(_touched, {"since": since.touched_at}).scalars())
            if since.revision != mark.revision:
                changes = _edits(connection, since.revision, mark)
                ids |= set(connection.execute(_limits_since, {"since": since.revision}).scalars())
            return changes._replace(limits=_limits(connection, sorted(ids)))


def _everything(connection: Connection, mark: Mark) -> Changes:
    counted = states.group(_sliced(connection, states.counted_rules))
    limits = {row[0]: states.limit_of(row, counted) for row in _sliced(connection, _plain)}
    return _edits(connection, -1, mark)._replace(whole=True, limits=limits, gone=[])


def _limits(connection: Connection, ids: list[str]) -> dict[str, tuple[Limit, Counters]]:
    found: dict[str, tuple[Limit, Counters]] = {}
    for begin in range(0, len(ids), TOGETHER):
        yield_gil()
        some = {"ids": ids[begin : begin + TOGETHER]}
        counted = states.group(connection.execute(_rules_by_id, some))
        found.update({row[0]: states.limit_of(row, counted) for row in connection.execute(_limits_by_id, some)})
    yield_gil()
    return found


def _sliced(connection: Connection, statement: Any) -> Iterable[Any]:
    """Yield the rows of a large result, fetched in parts.

    Fetching all rows in one call would stop every other thread.
    """
    result = connection.execute(statement.execution_options(yield_per=SLICE))
    return chain.from_iterable(result.partitions())


def _edits(connection: Connection, revision: int, mark: Mark) -> Changes:
    """Return the changes since a revision, except created and edited limits."""
    since = {"since": revision}
    gone: defaultdict[str, list[str]] = defaultdict(list)
    for entity, row_id in connection.execute(_gone_since, since):
        gone[entity].append(row_id)
    keys: dict[str, ApiKey | None] = dict.fromkeys(gone[revisions.API_KEY])
    keys.update({key.id: key for key in map(api_keys.key_of, connection.execute(_api_keys_since, since))})
    virtual: dict[str, VirtualKey | None] = dict.fromkeys(gone[revisions.VIRTUAL_KEY])
    virtual.update({key.id: key for key in map(VirtualKey._make, connection.execute(_virtual_keys_since, since))})
    names = {(Scope.VIRTUAL_KEY.value, key_id): key and key.name for key_id, key in virtual.items()}
    names.update({(Scope.USER.value, user_id): None for user_id in gone[revisions.USER]})
    names.update({(Scope.USER.value, user_id): name for user_id, name in connection.execute(_users_since, since)})
    overrides: dict[str, PriceOverride | None] = dict.fromkeys(gone[revisions.PRICE])
    overrides.update({each.id: each for each in map(PriceOverride._make, connection.execute(_prices_since, since))})
    return Changes(
        mark,
        whole=False,
        limits={},
        gone=gone[revisions.LIMIT],
        names=names,
        api_keys=keys,
        virtual_keys=virtual,
        prices=overrides,
    )
