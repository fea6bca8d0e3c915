"""Usage over time, as charts and tables show it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from governance.container import governance
from governance.domain.history.query import COLUMNS, Group, HistoryQuery, UsagePage, UsageRow
from governance.domain.history.usage import UsageAmounts
from governance.domain.limits import money
from governance.domain.times import rfc3339
from governance.web.dashboard.core import formats
from schemas.history.queries import HistoryListQuery
from schemas.loading import load

QUERY = HistoryListQuery()
MOST_POINTS = 100
"""The most bars of a chart."""
NOBODY = {
    Group.PROVIDER: "without a provider",
    Group.MODEL: "without a model",
    Group.VIRTUAL_KEY: "without a virtual key",
    Group.USER: "without a user",
}


class Point(NamedTuple):
    """A bar of a chart: a period, its value for the script, and for a reader. `height` is of 100."""

    start: int
    value: str
    text: str
    height: float


class ChartUnit(NamedTuple):
    """How an amount is written for the script, and for a reader."""

    value: Callable[[int], str]
    shown: Callable[[int], str]


MONEY = ChartUnit(money.dollars, formats.dollars)
COUNT = ChartUnit(str, formats.count)


class Spender(NamedTuple):
    """Who or what has spent, with its share of the highest, of 100."""

    id: str
    name: str
    is_nobody: bool
    cost: int
    requests: int
    width: int


def ask(**given: Any) -> tuple[HistoryQuery, UsagePage]:
    """Return a page of usage, asked for with the parameters of `GET /usage/history`. Raises InvalidRequest."""
    history = governance().history
    query = history.query(load(QUERY, {name: str(value) for name, value in given.items() if value is not None}))
    return query, history.page(query)


def over_time(**given: Any) -> UsagePage:
    """Return usage by period, the oldest first."""
    return ask(sort_by="start", order="asc", limit=MOST_POINTS, **given)[1]


def points(rows: Sequence[UsageRow], name: str, unit: ChartUnit) -> list[Point]:
    """Return the bars of one amount."""
    values = [getattr(row.amounts, name) for row in rows]
    highest = max(values, default=0) or 1
    return [
        Point(row.span.start, unit.value(value), unit.shown(value), round(value * 100 / highest, 2))
        for row, value in zip(rows, values, strict=True)
    ]


def spenders(group: Group, since: int, most: int) -> tuple[list[Spender], UsageAmounts]:
    """Return those of a group who have spent most since an instant, and what all have used."""
    query, page = ask(since=rfc3339(since), group_by=group.value, sort_by="cost", limit=most)
    highest = max((row.amounts.cost for row in page.rows), default=0) or 1
    return [_spender(query, page, row, highest) for row in page.rows if row.amounts.requests], page.sum


def _spender(query: HistoryQuery, page: UsagePage, row: UsageRow, highest: int) -> Spender:
    (group,) = query.groups
    found = getattr(row.series, COLUMNS[group])
    names = {Group.VIRTUAL_KEY: page.key_names, Group.USER: page.user_names}.get(group, {})
    name = names.get(found) or found or NOBODY[group]
    return Spender(found, name, not found, row.amounts.cost, row.amounts.requests, row.amounts.cost * 100 // highest)
