"""Answers questions about usage over time, from buckets, days and months: one statement for any number of periods."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Subquery,
    Table,
    and_,
    func,
    select,
    union_all,
    values,
)
from sqlalchemy.engine import Connection

from governance.domain.history.calendar import Span
from governance.domain.history.query import BY_TIME, COLUMNS, HistoryQuery, UsageFilter, UsageRow
from governance.domain.history.usage import Series, UsageAmounts
from governance.storage.history.sums import HALF, LOW, halves, joined
from governance.storage.tables import (
    Big,
    usage_bounds,
    usage_days,
    usage_series,
    usage_sums,
)


class Segment(NamedTuple):
    """A span of time, and the table that has its usage."""

    table: Table
    span: Span


def buckets_since(connection: Connection) -> int:
    """Return the start of the oldest bucket that is kept for sure."""
    return int(connection.execute(select(usage_bounds.c.buckets_since)).scalar_one())


def summed(connection: Connection, period: str) -> set[int]:
    """Return the starts of the days or months whose sums are current."""
    current = select(usage_sums.c.start).where(usage_sums.c.period == period, usage_sums.c.is_current)
    return set(connection.execute(current).scalars())


def zone(connection: Connection) -> str | None:
    """Return the time zone in which days are summed; None before the first."""
    return connection.execute(select(usage_sums.c.timezone).limit(1)).scalar_one_or_none()


def first_sum(connection: Connection) -> int | None:
    """Return the start of the oldest day that has a sum; None if there is none."""
    first: int | None = connection.execute(select(func.min(usage_days.c.start))).scalar_one()
    return first


def rows(
    connection: Connection, query: HistoryQuery, spans: Sequence[Span], segments: Sequence[Segment]
) -> Iterator[UsageRow]:
    """Yield the rows of a page, in the order that is asked for."""
    grouped = _grouped(query, spans, segments)
    names = [grouped.c[f"{name}_{half}"] for name in UsageAmounts._fields for half in ("high", "low")]
    groups = [grouped.c[COLUMNS[group]] for group in query.groups]
    wanted = select(grouped.c.number, *groups, *names).order_by(*_order(query, grouped))
    for number, *rest in connection.execute(wanted.limit(query.page.limit).offset(query.page.offset)):
        given = dict(zip((COLUMNS[group] for group in query.groups), rest, strict=False))
        series = Series(*(given.get(name, "") for name in Series._fields))
        yield UsageRow(spans[number], series, UsageAmounts(*joined(rest[len(query.groups) :])))


def count(connection: Connection, query: HistoryQuery, spans: Sequence[Span], segments: Sequence[Segment]) -> int:
    """Return the number of all rows."""
    return int(connection.execute(select(func.count()).select_from(_grouped(query, spans, segments))).scalar_one())


def total(connection: Connection, query: HistoryQuery, segments: Sequence[Segment]) -> UsageAmounts:
    """Return the sum of all usage that is asked for."""
    used = _used(segments)
    sums = [half for name in UsageAmounts._fields for half in halves(used.c[name])]
    found = connection.execute(_filtered(select(*sums), used, query.filter)).one()
    return UsageAmounts(*joined(found))


def _grouped(query: HistoryQuery, spans: Sequence[Span], segments: Sequence[Segment]) -> Subquery:
    """Return the sums by the number of the span and the groups."""
    used, periods = _used(segments), _periods(spans)
    groups = [usage_series.c[COLUMNS[group]] for group in query.groups]
    sums = [
        half.label(f"{name}_{which}")
        for name in UsageAmounts._fields
        for which, half in zip(("high", "low"), halves(used.c[name]), strict=True)
    ]
    within = and_(used.c.start >= periods.c.begins, used.c.start < periods.c.ends)
    statement = select(periods.c.number, *groups, *sums).join_from(periods, used, within)
    found = _filtered(statement, used, query.filter, joins=bool(groups)).group_by(periods.c.number, *groups)
    return cast("Subquery", found.subquery())


def _used(segments: Sequence[Segment]) -> Subquery:
    """Return the usage of all segments as one table."""
    names = ["start", "series_id", *UsageAmounts._fields]
    parts = [
        select(*(table.c[name] for name in names)).where(table.c.start >= span.start, table.c.start < span.end)
        for table, span in segments
    ]
    return union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()


def _periods(spans: Sequence[Span]) -> Any:
    columns: list[Column[Any]] = [Column("number", Integer), Column("begins", Big), Column("ends", Big)]
    return values(*columns).data([(number, *span) for number, span in enumerate(spans)]).cte("periods")


def _filtered(statement: Any, used: Subquery, wanted: UsageFilter, *, joins: bool = False) -> Any:
    given = {name: value for name, value in wanted._asdict().items() if value is not None}
    if not given and not joins:
        return statement
    statement = statement.join(usage_series, usage_series.c.id == used.c.series_id)
    return statement.where(*(usage_series.c[name] == value for name, value in given.items()))


def _order(query: HistoryQuery, grouped: Subquery) -> list[ColumnElement[Any]]:
    """Return the order: by time or by an amount, then by time and by the groups."""
    ties: list[ColumnElement[Any]] = [grouped.c.number, *(grouped.c[COLUMNS[group]] for group in query.groups)]
    first: list[ColumnElement[Any]] = [grouped.c.number]
    if query.sort_by != BY_TIME:
        high, low = grouped.c[f"{query.sort_by}_high"], grouped.c[f"{query.sort_by}_low"]
        first = [high + low.bitwise_rshift(HALF), low.bitwise_and(LOW)]
    return [*(each.desc() if query.descending else each.asc() for each in first), *ties]
