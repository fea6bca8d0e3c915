"""Reads model limits with their rules, newest counters and scope names, as `LimitState` values.

A counter contains the usage of a rule in one time window. The scope name is the name of a limit's virtual key or user.
"""

from collections.abc import Iterable, Sequence
from sys import intern
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, select
from sqlalchemy.engine import Connection

from governance.domain.limits.limit import Counter, Counters, Limit, LimitState, Rule
from governance.storage.tables import counters, model_limits, rules, users, virtual_keys

scope_name = func.coalesce(virtual_keys.c.name, users.c.name).label("scope_name")

_named = model_limits.outerjoin(
    virtual_keys, and_(model_limits.c.scope == "virtual_key", virtual_keys.c.id == model_limits.c.scope_id)
).outerjoin(users, and_(model_limits.c.scope == "user", users.c.id == model_limits.c.scope_id))

LIMIT_COLUMNS = (
    model_limits.c.id,
    model_limits.c.model_name,
    model_limits.c.provider,
    model_limits.c.scope,
    model_limits.c.scope_id,
    model_limits.c.calendar_aligned,
    model_limits.c.timezone,
    model_limits.c.config_hash,
    model_limits.c.created_at,
    model_limits.c.updated_at,
    model_limits.c.version,
    model_limits.c.search_name,
)
named_limits: Select[Any] = select(*LIMIT_COLUMNS, scope_name).select_from(_named)

_other = counters.alias("other")
_newest = (
    select(_other.c.id)
    .where(_other.c.rule_id == rules.c.id, _other.c.metric == rules.c.metric, _other.c.generation == rules.c.generation)
    .order_by(_other.c.window_start.desc())
    .limit(1)
    .scalar_subquery()
)
newest: ColumnElement[bool] = counters.c.id == _newest
"""The condition that joins a rule with its newest counter."""

RULE_COLUMNS = (
    rules.c.id,
    rules.c.metric,
    rules.c.max_limit,
    rules.c.reset_duration,
    rules.c.anchor,
    rules.c.generation,
    rules.c.config_hash,
    rules.c.created_at,
    rules.c.updated_at,
)
COUNTER_COLUMNS = (counters.c.window_start, counters.c.window_end, counters.c.used, counters.c.reserved)

counted_rules: Select[Any] = (
    select(rules.c.model_limit_id, *COUNTER_COLUMNS, *RULE_COLUMNS)
    .select_from(rules.outerjoin(counters, newest))
    .order_by(rules.c.model_limit_id, rules.c.position)
)
_of_limits = counted_rules.where(rules.c.model_limit_id.in_(bindparam("ids", expanding=True)))
_by_ids = named_limits.where(model_limits.c.id.in_(bindparam("ids", expanding=True)))

Counted = dict[str, list[tuple[Rule, Counter | None]]]


def by_ids(connection: Connection, ids: Sequence[str]) -> dict[str, LimitState]:
    """Return the limits with these ids, by id. Unknown ids are left out."""
    if not ids:
        return {}
    rows = connection.execute(_by_ids, {"ids": list(ids)}).all()
    return {scoped.limit.id: scoped for scoped in whole(connection, rows)}


def whole(connection: Connection, rows: Sequence[Any]) -> list[LimitState]:
    """Build a limit from each row of `named_limits`, in the same order, with its rules and newest counters."""
    if not rows:
        return []
    counted = group(connection.execute(_of_limits, {"ids": [row[0] for row in rows]}).all())
    return [LimitState(*limit_of(row, counted), row[-1]) for row in rows]


def group(rows: Iterable[Any]) -> Counted:
    """Build rules with their newest counters from rows of `counted_rules`, by limit.

    Equal values share one object, which saves a sixth of the memory.
    """
    found: Counted = {}
    for limit_id, start, end, used, reserved, rule_id, metric, most, duration, anchor, *rest in rows:
        generation, config_hash, created, updated = rest
        counter = None if start is None else Counter(start, end, used, reserved)
        created = anchor if created == anchor else created
        updated = created if updated == created else updated
        rule = Rule(rule_id, intern(metric), most, intern(duration), anchor, generation, config_hash, created, updated)
        found.setdefault(limit_id, []).append((rule, counter))
    return found


def limit_of(row: Any, counted: Counted) -> tuple[Limit, Counters]:
    """Build a limit and its counters from a row that begins with `LIMIT_COLUMNS`."""
    limit_id, model, provider, scope, scope_id, aligned, zone, *rest = row[: len(LIMIT_COLUMNS)]
    pairs = counted.get(limit_id, ())
    held = tuple([rule for rule, _ in pairs])
    whom = limit_id, model, intern(provider) or None, intern(scope), intern(scope_id) or None
    return Limit._make((*whom, aligned, intern(zone), *rest, held)), tuple([counter for _, counter in pairs])


def any_limits(connection: Connection) -> bool:
    """Return whether any limit is stored."""
    return bool(connection.execute(select(func.count()).select_from(model_limits)).scalar_one())
