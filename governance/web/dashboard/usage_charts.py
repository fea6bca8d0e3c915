"""Prepares usage over time for charts and tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from governance.container import governance
from governance.domain.history.query import COLUMNS, Group, UsagePage, UsageRow
from governance.domain.history.usage import UsageAmounts
from governance.domain.limits import money
from governance.domain.records.list_query import Page
from governance.domain.times import rfc3339
from governance.web.dashboard.core import formats
from schemas.history.queries import HistoryListQuery
from schemas.loading import load

QUERY = HistoryListQuery()
MOST_COMBINATIONS = 20_000
"""The largest number of combinations of groups that are added up here."""
MOST_POINTS = 100
"""The largest number of bars in a chart."""
NOBODY = {
    Group.PROVIDER: "without a provider",
    Group.MODEL: "without a model",
    Group.VIRTUAL_KEY: "without a virtual key",
    Group.USER: "without a user",
}


class Point(NamedTuple):
    """A bar of a chart: its period, its value for the script, and its value for a reader.

    `height` is between 0 and 100.
    """

    start: int
    value: str
    text: str
    height: float


class ChartUnit(NamedTuple):
    """Functions that write an amount for the script and for a reader."""

    value: Callable[[int], str]
    shown: Callable[[int], str]


MONEY = ChartUnit(money.dollars, formats.dollars)
COUNT = ChartUnit(str, formats.count)


class Spender(NamedTuple):
    """One member of a group, with its share of the highest usage, between 0 and 100."""

    id: str
    name: str
    is_nobody: bool
    cost: int
    width: int


def over_time(**given: str | None) -> UsagePage:
    """Return usage by period, oldest first."""
    return _page(
        {"sort_by": "start", "order": "asc"} | {name: text for name, text in given.items() if text}, MOST_POINTS
    )


def points(rows: Sequence[UsageRow], name: str, unit: ChartUnit) -> list[Point]:
    """Return the bars for one amount."""
    values = [getattr(row.amounts, name) for row in rows]
    highest = max(values, default=0) or 1
    return [
        Point(row.span.start, unit.value(value), unit.shown(value), round(value * 100 / highest, 2))
        for row, value in zip(rows, values, strict=True)
    ]


def spenders(groups: Sequence[Group], since: int, most: int) -> tuple[list[list[Spender]], UsageAmounts]:
    """Return the members of each group with the highest usage since an instant, and the usage of all.

    One statement reads the usage of all groups together, and it is added up here. If there are more combinations than
    `MOST_COMBINATIONS`, there is one statement for each group.
    """
    together = {"since": rfc3339(since), "group_by": ",".join(groups), "sort_by": "cost"}
    page = _page(together, MOST_COMBINATIONS)
    if page.total > MOST_COMBINATIONS:
        pages = [_page(together | {"group_by": group.value}, most) for group in groups]
    else:
        pages = [page] * len(groups)
    return [_most(group, each, most) for group, each in zip(groups, pages, strict=True)], page.sum


def _page(given: Mapping[str, str], most: int) -> UsagePage:
    history = governance().history
    return history.page(history.query(load(QUERY, given))._replace(page=Page(most, 0)))


def _most(group: Group, page: UsagePage, most: int) -> list[Spender]:
    """Return the members of one group with the highest usage, from rows of several groups."""
    sums: dict[str, tuple[int, int]] = {}
    for row in page.rows:
        found = getattr(row.series, COLUMNS[group])
        cost, requests = sums.get(found, (0, 0))
        sums[found] = cost + row.amounts.cost, requests + row.amounts.requests
    used = [(found, cost) for found, (cost, requests) in sums.items() if requests]
    highest = max((cost for _, cost in used), default=0) or 1
    ranked = sorted(used, key=lambda each: (-each[1], each[0]))[:most]
    names = {Group.VIRTUAL_KEY: page.key_names, Group.USER: page.user_names}.get(group, {})
    return [
        Spender(found, names.get(found) or found or NOBODY[group], not found, cost, cost * 100 // highest)
        for found, cost in ranked
    ]
