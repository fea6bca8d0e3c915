"""Prepares usage over time for charts and tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from governance.container import governance
from governance.domain.history.query import COLUMNS, Group, HistoryQuery, SpenderRanking, UsagePage, UsageRow
from governance.domain.history.usage import UsageAmounts
from governance.domain.limits import money
from governance.domain.records.list_query import Page
from governance.domain.times import rfc3339
from governance.web.dashboard.core import formats
from schemas.history.queries import HistoryListQuery
from schemas.loading import load

QUERY = HistoryListQuery()
MOST_POINTS = 100
"""The largest number of bars in a chart."""
NOBODY = {
    Group.PROVIDER: "without a provider",
    Group.MODEL: "without a model",
    Group.VIRTUAL_KEY: "without a virtual key",
    Group.USER: "without a user",
}


class Point(NamedTuple):
    """A bar of a chart: the start of its period, its value for the script, and its value as text for the viewer.

    `height` is between 0 and 100.
    """

    start: int
    value: str
    text: str
    height: float


class ChartUnit(NamedTuple):
    """Two functions that write an amount: `value` for the script, and `shown` for the viewer."""

    value: Callable[[int], str]
    shown: Callable[[int], str]


MONEY = ChartUnit(money.dollars, formats.dollars)
COUNT = ChartUnit(str, formats.count)


class Spender(NamedTuple):
    """One member of a group (for example a model or a user), and its cost in nano-dollars.

    `width` is the cost in percent of the highest cost in the group. `is_nobody` is true for the sum of the calls that
    name no member, for example calls without a user.
    """

    id: str
    name: str
    is_nobody: bool
    cost: int
    width: int


def over_time(amounts: tuple[str, ...], **given: str | None) -> UsagePage:
    """Return the wanted amounts of usage in each period, oldest period first. `given` contains query parameters."""
    wanted = {"sort_by": "start", "order": "asc"} | {name: text for name, text in given.items() if text}
    return governance().history.page(_query(wanted)._replace(page=Page(MOST_POINTS, 0), amounts=amounts))


def points(rows: Sequence[UsageRow], name: str, unit: ChartUnit) -> list[Point]:
    """Return one bar for each row. The bar shows the amount `name` of the row."""
    values = [getattr(row.amounts, name) for row in rows]
    highest = max(values, default=0) or 1
    return [
        Point(row.span.start, unit.value(value), unit.shown(value), round(value * 100 / highest, 2))
        for row, value in zip(rows, values, strict=True)
    ]


def spenders(groups: Sequence[Group], since: int, most: int) -> tuple[list[list[Spender]], UsageAmounts]:
    """Return, for each group, the members with the highest cost since an instant. Also return the sum of all usage."""
    query = _query({"since": rfc3339(since), "group_by": ",".join(groups)})
    found = governance().history.ranked(query._replace(amounts=("requests", "cost")), most)
    return [_spenders(group, found) for group in groups], found.sum


def _query(given: Mapping[str, str]) -> HistoryQuery:
    return governance().history.query(load(QUERY, given))


def _spenders(group: Group, found: SpenderRanking) -> list[Spender]:
    names, rows = found.names.get(group, {}), found.rows[group]
    highest = max((row.amounts.cost for row in rows), default=0) or 1
    return [
        Spender(member, names.get(member) or member or NOBODY[group], not member, cost, cost * 100 // highest)
        for member, cost in ((getattr(row.series, COLUMNS[group]), row.amounts.cost) for row in rows)
    ]
