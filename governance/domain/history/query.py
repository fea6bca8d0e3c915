"""A question about usage over time, and the rows of its answer."""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.history.calendar import Period, Span
from governance.domain.history.usage import Series, UsageAmounts
from governance.domain.records.list_query import Page


class Group(StrEnum):
    """What the rows of an answer are grouped by; the words are those of the query."""

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
"""The field of a series by the group."""
BY_TIME = "start"


class UsageFilter(NamedTuple):
    """Which usage is asked for; None is no filter. Names are in canonical form, '' is usage without one."""

    provider: str | None = None
    model: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None


class HistoryQuery(NamedTuple):
    """A question: from `since` to before `until` (microseconds), in periods of a time zone, by groups.

    `sort_by` is `start` or a field of `UsageAmounts`.
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


class UsageRow(NamedTuple):
    """What one group has used in one period. A field of the series that is no group is ''."""

    span: Span
    series: Series
    amounts: UsageAmounts


class UsagePage(NamedTuple):
    """A page of rows, their number, the sum of all, and the last known names of virtual keys and users by id."""

    rows: list[UsageRow]
    total: int
    sum: UsageAmounts
    key_names: dict[str, str]
    user_names: dict[str, str]
