"""Reads past calls, to compute what a limit would have done with them.

It reads either single calls (reservations and usage reports) or buckets. A bucket contains the usage of one series in
15 minutes. A series is a combination of provider, model, virtual key and user. A group is one of these four columns,
and the members of a group are the values of the column.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Select, and_, case, func, literal, or_, select, tuple_, union_all
from sqlalchemy.engine import Connection

from governance.domain.history.calendar import Span
from governance.domain.history.query import COLUMNS, Group
from governance.domain.history.refused_groups import PossiblyRefused
from governance.domain.history.what_if import BucketSum, StoredCall
from governance.domain.limits.limit import Limit, Scope
from governance.domain.metering.matching import matches
from governance.domain.metering.request import Call
from governance.domain.metering.reservation import Status
from governance.domain.names import ALL_MODELS
from governance.storage.functions import is_one_of
from governance.storage.tables import reservations, usage_bounds, usage_buckets, usage_series

SCOPES = {Scope.VIRTUAL_KEY: "virtual_key_id", Scope.USER: "user_id"}
TOKENS = usage_buckets.c.input_tokens + usage_buckets.c.output_tokens + usage_buckets.c.other_tokens


class Place(NamedTuple):
    """The position of the last call that was read: the instant of its admission, and its sequence number."""

    admitted_at: int
    seq: int


def calls_since(connection: Connection) -> int:
    """Return the instant from which on all reservations and reports are still stored."""
    return int(connection.execute(select(usage_bounds.c.pruned_until)).scalar_one())


def part(connection: Connection, limit: Limit, after: Place, until: int, most: int) -> list[StoredCall]:
    """Return up to `most` further calls in a limit's scope before `until`, in the order of their admission.

    Only calls after the position `after` are returned.
    """
    own = reservations.c
    further = or_(own.created_at > after.admitted_at, own.seq > after.seq)
    matches_scope = [own[name] == limit.scope_id for scope, name in SCOPES.items() if scope == limit.scope]
    rows: Any = connection.execute(
        select(
            own.seq,
            own.created_at,
            own.status,
            own.requests,
            own.held_tokens,
            own.held_cost,
            own.used_tokens,
            own.used_cost,
            own.ended_at,
            *(own[name] for name in Call._fields),
        )
        .where(own.created_at >= after.admitted_at, own.created_at < until, further, *matches_scope)
        .order_by(own.created_at, own.seq)
        .limit(most)
    )
    return [_call(*row) for row in rows]


def _call(seq: int, admitted_at: int, status: str, *rest: Any) -> StoredCall:
    *amounts, ended_at, model, provider, virtual_key_id, user_id = rest
    requests, held_tokens, held_cost, used_tokens, used_cost = amounts
    return StoredCall(
        seq,
        admitted_at,
        Call(model, provider, virtual_key_id, user_id),
        is_report=status == Status.REPORTED,
        requests=requests,
        held_tokens=held_tokens,
        held_cost=held_cost,
        used_tokens=used_tokens,
        used_cost=used_cost,
        ended_at=None if status == Status.OPEN else ended_at,
    )


def buckets(connection: Connection, limit: Limit, span: Span) -> list[BucketSum]:
    """Return the usage of the calls to which a limit applies, summed by the start of their bucket, oldest first."""
    sums = (func.sum(usage_buckets.c.requests), func.sum(TOKENS), func.sum(usage_buckets.c.cost))
    wanted = select(usage_buckets.c.start, *sums).where(
        usage_buckets.c.start >= span.start, usage_buckets.c.start < span.end
    )
    which = _series(connection, limit)
    if which is not None:
        wanted = wanted.join(usage_series, usage_series.c.id == usage_buckets.c.series_id).where(which)
    rows = connection.execute(wanted.group_by(usage_buckets.c.start).order_by(usage_buckets.c.start))
    return [BucketSum(*map(int, row)) for row in rows]


def possibly_refused(
    connection: Connection, limit: Limit, span: Span, refusing: Collection[int], most: int
) -> dict[Group, tuple[list[PossiblyRefused], int]]:
    """Return the members of each group that have calls in some buckets.

    `refusing` contains the starts of these buckets. In them, the limit may have refused calls. For each group, return
    up to `most` members, and the number of all such members. Members with the most calls in these buckets come first.
    """
    by_series = _by_series(span, refusing, _series(connection, limit))
    parts = [select(_members(group, by_series, most).subquery()) for group in Group]
    found: dict[Group, tuple[list[PossiblyRefused], int]] = {group: ([], 0) for group in Group}
    for group, value, calls, possible, members in connection.execute(union_all(*parts)):
        rows, _ = found[Group(group)]
        rows.append(PossiblyRefused(value, int(calls), int(possible)))
        found[Group(group)] = rows, members
    for rows, _ in found.values():
        rows.sort(key=lambda row: (-row.possible, row.value))
    return found


def _by_series(span: Span, refusing: Collection[int], which: ColumnElement[bool] | None) -> CTE:
    """Return the number of calls of each series, and how many of them are in the buckets that begin at `refusing`."""
    own = usage_buckets.c
    possible = case((is_one_of(own.start, refusing), own.requests), else_=0)
    wanted = select(own.series_id, func.sum(own.requests).label("calls"), func.sum(possible).label("possible")).where(
        own.start >= span.start, own.start < span.end
    )
    if which is not None:
        wanted = wanted.join(usage_series, usage_series.c.id == own.series_id).where(which)
    return wanted.group_by(own.series_id).cte("by_series")


def _members(group: Group, by_series: CTE, most: int) -> Select[Any]:
    value, possible = usage_series.c[COLUMNS[group]], func.sum(by_series.c.possible)
    return (
        select(
            literal(group.value).label("member_of"),
            value.label("value"),
            func.sum(by_series.c.calls).label("calls"),
            possible.label("possible"),
            func.count().over().label("members"),
        )
        .join_from(by_series, usage_series, usage_series.c.id == by_series.c.series_id)
        .group_by(value)
        .having(possible > 0)
        .order_by(possible.desc(), value)
        .limit(most)
    )


def _series(connection: Connection, limit: Limit) -> ColumnElement[bool] | None:
    """Return the SQL condition for the series to which a limit applies. Return None if it applies to all series."""
    own, identity = usage_series.c, limit.identity
    found = [own[name] == limit.scope_id for scope, name in SCOPES.items() if scope == limit.scope]
    if identity.model != ALL_MODELS:
        found.append(tuple_(own.provider, own.model).in_(_names(connection, limit)))
    elif identity.provider:
        found.append(own.provider == identity.provider)
    return and_(*found) if found else None


def _names(connection: Connection, limit: Limit) -> Sequence[tuple[str, str]]:
    """Return the (provider, model) of each stored series to which a limit on one model applies."""
    named = connection.execute(select(usage_series.c.provider, usage_series.c.model).distinct())
    whom = {name: limit.scope_id for scope, name in SCOPES.items() if scope == limit.scope}
    index = {limit.identity: limit.id}
    return [(provider, model) for provider, model in named if matches(Call(model, provider or None, **whom), index)]
