"""A query for usage over time, and the rows of its result."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from governance.domain.history.calendar import Period, Span
from governance.domain.history.usage import Series, UsageAmounts
from governance.domain.records.list_query import Page


class Group(StrEnum):
    """The columns by which rows can be grouped. Their values are those of the query parameter."""

    PROVIDER = "provider"
    MODEL = "model"
    VIRTUAL_KEY = "virtual_key"
    USER = "user"


COLUMNS = {
    Group.PROVIDER: "provider",
    Group.MODEL: "model",
    Group.VIRTUAL_KEY: "virtual_key_id",
    Group.USER: "user_id",
}
"""The field of `Series` for each group."""
Names = Mapping[Group, Mapping[str, str]]
"""The last known names of virtual keys and users, by group and id."""
BY_TIME = "start"


class UsageFilter(NamedTuple):
    """Selects usage.

    A field that is None does not filter. Names are in canonical form. '' selects usage without a name.
    """

    provider: str | None = None
    model: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None


class HistoryQuery(NamedTuple):
    """Asks for the usage from `since` up to, but not including, `until` (microseconds).

    The rows are split by period and by group. `sort_by` is `start` or one of `amounts`. Only the fields of
    `UsageAmounts` in `amounts` are summed, and the others are 0: each sum takes 3 ms over a month of 4,000 series.
    """

    since: int
    until: int
    period: Period
    timezone: str
    groups: tuple[Group, ...] = ()
    filter: UsageFilter = UsageFilter()
    sort_by: str = BY_TIME
    descending: bool = False
    page: Page = Page()
    amounts: tuple[str, ...] = UsageAmounts._fields


class UsageRow(NamedTuple):
    """The usage of one group in one period. A field of the series by which the query does not group is ''."""

    span: Span
    series: Series
    amounts: UsageAmounts


class UsagePage(NamedTuple):
    """A page of rows, the number and the sum of all rows, and the names of the virtual keys and users of the page."""

    rows: list[UsageRow]
    total: int
    sum: UsageAmounts
    names: Names


class SpenderRanking(NamedTuple):
    """The members of each group with the highest cost, the highest first, the sum of all usage, and their names."""

    rows: dict[Group, list[UsageRow]]
    sum: UsageAmounts
    names: Names
