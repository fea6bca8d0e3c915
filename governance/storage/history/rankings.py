"""Ranks the members of groups by cost, in one statement that reads the usage once.

A group is a column by which usage is summed: provider, model, virtual key or user. The members of a group are the
values of its column.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Select, func, literal, null, select, union_all
from sqlalchemy.engine import Connection

from governance.domain.history.calendar import Span
from governance.domain.history.query import COLUMNS, Group, HistoryQuery, UsageRow
from governance.domain.history.usage import Series, UsageAmounts
from governance.storage.history.reading import Add, Segment, amounts, grouped, without_overflow

NOBODY = Series("", "", "", "")
TOTAL = -1
"""The value of `part` in the row that contains the sum of all usage.

In the rows of a group, `part` is the index of the group in `query.groups`.
"""


def ranked(
    connection: Connection, query: HistoryQuery, span: Span, segments: Sequence[Segment], most: int
) -> tuple[dict[Group, list[UsageRow]], UsageAmounts]:
    """Return up to `most` members of each group, and the sum of all usage.

    Members without usage are left out. The members with the highest cost come first. The query must have one period,
    and its `amounts` must contain `cost` and `requests`.
    """

    def found(add: Add) -> tuple[dict[Group, list[UsageRow]], UsageAmounts]:
        usage = grouped(query, [span], segments, add)
        parts = [_of_group(query, number, usage, add, most) for number in range(len(query.groups))]
        sums = (add(usage.c[name]).label(name) for name in query.amounts)
        whole = select(literal(TOTAL).label("part"), null().label("member"), *sums).select_from(usage)
        every = union_all(whole, *(select(part.subquery()) for part in parts)).subquery()
        order = every.c.part, every.c.cost.desc(), every.c.member
        (_, _, *first), *rest = connection.execute(select(every).order_by(*order))
        rows: dict[Group, list[UsageRow]] = {group: [] for group in query.groups}
        for number, member, *summed in rest:
            group = query.groups[number]
            series = NOBODY._replace(**{COLUMNS[group]: member})
            rows[group].append(UsageRow(span, series, amounts(query, summed)))
        return rows, amounts(query, first)

    return without_overflow(found)


def _of_group(query: HistoryQuery, number: int, usage: CTE, add: Add, most: int) -> Select[Any]:
    member = usage.c[COLUMNS[query.groups[number]]]
    sums = [add(usage.c[name]).label(name) for name in query.amounts]
    return (
        select(literal(number).label("part"), member.label("member"), *sums)
        .group_by(member)
        .having(func.sum(usage.c.requests) > 0)
        .order_by(add(usage.c.cost).desc(), member)
        .limit(most)
    )
