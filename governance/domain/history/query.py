"""A query for usage over time, and the rows of its result.

The usage history stores sums of usage for each series: a combination of provider, model, virtual key and user.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from governance.domain.history.calendar import Period, Span
from governance.domain.history.usage import Series, UsageAmounts
from governance.domain.records.list_query import Page


class Group(StrEnum):
    """The columns by which rows can be grouped. The enum values are the values of the query parameter."""

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
"""The latest known names of virtual keys and users, by group and id."""
BY_TIME = "start"


class UsageFilter(NamedTuple):
    """Selects usage by the fields of its series.

    A field that is None does not filter. A field that is '' selects the usage of calls without this field. The names
    are in canonical form: the one spelling under which usage is stored.
    """

    provider: str | None = None
    model: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None


class HistoryQuery(NamedTuple):
    """Asks for the usage from `since` up to, but not including, `until` (microseconds).

    The rows are split by period (for example by day) and by group. `amounts` contains the names of the fields of
    `UsageAmounts` that are summed. To save time, the other fields are not summed and are 0: over a month of 4,000
    series, each sum takes 3 ms. `sort_by` is `start` or one of `amounts`.
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
    """The usage of one group in one period. If the query does not group by a field of the series, the field is ''."""

    span: Span
    series: Series
    amounts: UsageAmounts


class UsagePage(NamedTuple):
    """A page of rows, the number and the sum of all rows, and the names of the virtual keys and users on the page."""

    rows: list[UsageRow]
    total: int
    sum: UsageAmounts
    names: Names


class SpenderRanking(NamedTuple):
    """For each group, the providers, models, virtual keys or users with the highest cost, highest first.

    `sum` is the sum of all usage. `names` contains the names of the virtual keys and users in the rows.
    """

    rows: dict[Group, list[UsageRow]]
    sum: UsageAmounts
    names: Names
