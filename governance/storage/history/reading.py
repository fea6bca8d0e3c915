"""Answers queries about usage over time.

The usage is stored in three tables: by 15 minutes (called buckets), by day and by month. Each row contains the usage of
one series, which is a combination of provider, model, virtual key and user. A query first sums the usage of each period
by the id of the series. This step finds the rows of the periods by the primary key, and its result has few rows. After
that, the provider and the other names of the series are joined.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Float,
    Integer,
    Select,
    Subquery,
    Table,
    and_,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
    values,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from governance.domain.history.calendar import SHORT, Span
from governance.domain.history.query import BY_TIME, COLUMNS, HistoryQuery, UsageFilter, UsageRow
from governance.domain.history.usage import Series, UsageAmounts
from governance.storage.history.sums import LARGEST, is_overflow
from governance.storage.tables import Big, usage_bounds, usage_days, usage_series, usage_sums

Add = Callable[[ColumnElement[Any]], ColumnElement[Any]]
Result = TypeVar("Result")


class Segment(NamedTuple):
    """A span of time, and the table that contains its usage."""

    table: Table
    span: Span


def buckets_since(connection: Connection) -> int:
    """Return the instant from which on all buckets are still stored."""
    return int(connection.execute(select(usage_bounds.c.buckets_since)).scalar_one())


def summed(connection: Connection, period: str) -> set[int]:
    """Return the starts of the days or months whose sums are up to date."""
    current = select(usage_sums.c.start).where(usage_sums.c.period == period, usage_sums.c.is_current)
    return set(connection.execute(current).scalars())


def zone(connection: Connection) -> str | None:
    """Return the time zone in which days are summed. Return None before the first sum."""
    return connection.execute(select(usage_sums.c.timezone).limit(1)).scalar_one_or_none()


def first_sum(connection: Connection) -> int | None:
    """Return the start of the oldest day with a sum. Return None if there is none."""
    first: int | None = connection.execute(select(func.min(usage_days.c.start))).scalar_one()
    return first


def page(
    connection: Connection, query: HistoryQuery, spans: Sequence[Span], segments: Sequence[Segment]
) -> tuple[list[UsageRow], int, UsageAmounts]:
    """Return the rows of a page in the requested order, the number of all rows, and their sum.

    One statement groups the usage once, and computes both the page and the sum from the groups.
    """

    def found(add: Add) -> tuple[list[UsageRow], int, UsageAmounts]:
        usage = grouped(query, spans, segments, add)
        columns = [COLUMNS[group] for group in query.groups]
        sums = [add(usage.c[name]).label(name) for name in query.amounts]
        whole = select(literal(0).label("part"), func.count().label("number"), *map(_nothing, columns), *sums)
        wanted = _page(query, usage)
        shown = [wanted.c[name] for name in ("number", *columns, *query.amounts)]
        both = union_all(whole.select_from(usage), select(literal(1), *shown)).subquery()
        (_, total, *first), *rest = connection.execute(select(both).order_by(both.c.part, *_order(query, both)))
        return [_row(query, spans, row[1:]) for row in rest], int(total), amounts(query, first[len(columns) :])

    return without_overflow(found)


def rows(
    connection: Connection, query: HistoryQuery, spans: Sequence[Span], segments: Sequence[Segment]
) -> list[UsageRow]:
    """Return the rows of a page in the requested order."""

    def found(add: Add) -> list[UsageRow]:
        wanted = _page(query, grouped(query, spans, segments, add))
        return [_row(query, spans, row) for row in connection.execute(select(wanted))]

    return without_overflow(found)


def without_overflow(question: Callable[[Add], Result]) -> Result:
    """Run a query with exact sums of integers.

    If a sum is too large for an integer of SQLite, run the query again with sums of floats. Only wrong reports lead to
    such large sums.
    """
    try:
        return question(func.sum)
    except OperationalError as error:
        if not is_overflow(error):
            raise
        return question(lambda column: func.sum(cast(column, Float)))


def _row(query: HistoryQuery, spans: Sequence[Span], row: Sequence[Any]) -> UsageRow:
    columns = [COLUMNS[group] for group in query.groups]
    names: dict[str, str] = dict(zip(columns, row[1:], strict=False))
    series = Series(*(names.get(name, "") for name in Series._fields))
    return UsageRow(spans[row[0]], series, amounts(query, row[1 + len(columns) :]))


def amounts(query: HistoryQuery, sums: Sequence[Any]) -> UsageAmounts:
    """Return the sums of a query's amounts. A sum above `LARGEST` is replaced with `LARGEST`."""
    return UsageAmounts(**{name: min(LARGEST, int(each or 0)) for name, each in zip(query.amounts, sums, strict=True)})


def _nothing(name: str) -> ColumnElement[Any]:
    return null().label(name)


def _page(query: HistoryQuery, grouped: CTE) -> Subquery:
    """Return the rows of a page. A row contains the index of its span, its groups and its amounts."""
    shown = [grouped.c[name] for name in ("number", *(COLUMNS[group] for group in query.groups), *query.amounts)]
    wanted = select(*shown).order_by(*_order(query, grouped))
    return wanted.limit(query.page.limit).offset(query.page.offset).subquery()


def grouped(query: HistoryQuery, spans: Sequence[Span], segments: Sequence[Segment], add: Add) -> CTE:
    """Return the sums by group for each span. `number` is the index of a span in `spans`.

    The table of series is joined only if the query groups or filters by provider, model, virtual key or user.
    """
    by_series = bool(query.groups) or any(name is not None for name in query.filter)
    parts = [
        _of_segment(query, spans, segment, add, f"periods_{part}", by_series=by_series)
        for part, segment in enumerate(segments)
    ]
    used = union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()
    groups = [usage_series.c[COLUMNS[group]] for group in query.groups]
    statement: Any = select(used.c.number, *groups, *(add(used.c[name]).label(name) for name in query.amounts))
    if by_series:
        statement = _filtered(statement, used, query.filter)
    found: CTE = statement.group_by(used.c.number, *groups).cte("grouped")
    return found


def _of_segment(
    query: HistoryQuery, spans: Sequence[Span], segment: Segment, add: Add, name: str, *, by_series: bool
) -> Select[Any]:
    """Return the usage in a segment by the index of the span and, if `by_series` is true, by series.

    Only the part of a span inside the segment is read. This part is computed in Python. So SQLite finds the rows of a
    span with one search by the primary key. When the end of the segment was a second condition on the time, SQLite read
    the whole segment for each span.
    """
    table, (start, end) = segment
    cut = [(number, max(start, span.start), min(end, span.end)) for number, span in enumerate(spans)]
    used = [each for each in cut if each[1] < each[2]]
    if by_series and len(used) == 1:
        (number, begin, end), *_ = used
        return _of_span(query, Segment(table, Span(begin, end)), number, add)
    source: Any = table if by_series or query.period in SHORT else _by_start(query, segment, add)
    periods = _periods(used, name)
    within = and_(source.c.start >= periods.c.begins, source.c.start < periods.c.ends)
    keys = [periods.c.number, source.c.series_id] if by_series else [periods.c.number]
    return select(*keys, *_sums(query, source, add)).join_from(periods, source, within).group_by(*keys)


def _of_span(query: HistoryQuery, segment: Segment, number: int, add: Add) -> Select[Any]:
    """Return the usage in the only span of a segment, by series.

    A join with the spans is not needed. It made SQLite take 1.5 times as long.
    """
    table = segment.table
    found = select(literal(number).label("number"), table.c.series_id, *_sums(query, table, add))
    return found.where(*_within(segment)).group_by(table.c.series_id)


def _by_start(query: HistoryQuery, segment: Segment, add: Add) -> Subquery:
    """Return the usage in a segment by start, in the order of the primary key.

    SQLite groups the rows by start without a sort. So a month of days takes 16 ms instead of 30 ms. After that, each
    period reads all grouped rows. For periods shorter than a day, this took longer, so they do not use this function.
    """
    table = segment.table
    found = select(table.c.start, *_sums(query, table, add)).where(*_within(segment))
    return found.group_by(table.c.start).subquery()


def _within(segment: Segment) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    start = segment.table.c.start
    return start >= segment.span.start, start < segment.span.end


def _sums(query: HistoryQuery, source: Any, add: Add) -> list[Any]:
    return [add(source.c[amount]).label(amount) for amount in query.amounts]


def _periods(numbered: Sequence[tuple[int, int, int]], name: str) -> Any:
    columns: list[Column[Any]] = [Column("number", Integer), Column("begins", Big), Column("ends", Big)]
    return values(*columns).data(numbered).cte(name)


def _filtered(statement: Any, used: Subquery, wanted: UsageFilter) -> Any:
    given = {name: value for name, value in wanted._asdict().items() if value is not None}
    joined = statement.join(usage_series, usage_series.c.id == used.c.series_id)
    return joined.where(*(usage_series.c[name] == value for name, value in given.items()))


def _order(query: HistoryQuery, grouped: CTE | Subquery) -> list[ColumnElement[Any]]:
    """Return the sort order: by time or by an amount, then by time and by group."""
    ties: list[ColumnElement[Any]] = [grouped.c.number, *(grouped.c[COLUMNS[group]] for group in query.groups)]
    first = grouped.c.number if query.sort_by == BY_TIME else grouped.c[query.sort_by]
    return [first.desc() if query.descending else first.asc(), *ties]
