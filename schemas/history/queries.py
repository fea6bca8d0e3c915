"""The query string of `GET /usage/history`, which returns usage by time and by group."""

from typing import Any

from governance.domain.history.calendar import Period
from governance.domain.history.query import BY_TIME, Group
from governance.domain.history.usage import UsageAmounts
from schemas.fields import BaseField, OneOf
from schemas.queries import CallsQuery
from schemas.time_fields import MomentField, TimeZone


class Groups(BaseField):
    """A comma-separated list of groups (provider, model, virtual_key, user) without duplicates, loaded as a tuple."""

    default_error_messages = {"groups": "Give {field} as some of {choices}, separated by commas."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[Group, ...]:
        words = [word.strip() for word in str(value).split(",")]
        if not set(words) <= set(Group) or len(set(words)) < len(words):
            raise self.make_error("groups", choices=", ".join(Group))
        return tuple(map(Group, words))


class HistoryListQuery(CallsQuery):
    """The query string of `GET /usage/history`.

    Some parameters have no default here, because their default depends on the time or on another parameter. The service
    that runs the query sets these defaults.
    """

    since = MomentField(
        metadata={
            "description": "From this time on: a time, a day, or a while before now such as 30d; the midnight 30 days "
            "before until where left out."
        }
    )
    until = MomentField(metadata={"description": "Before this time, given in the same forms; now where left out."})
    bucket = OneOf(
        {period.value: period for period in Period},
        load_default=Period.TOTAL,
        metadata={"description": "A row for each of these periods; total: one for all of the time."},
    )
    timezone = TimeZone(metadata={"description": "Whose hours, days and months; GOVERNANCE_TIMEZONE where left out."})
    group_by = Groups(
        load_default=(),
        metadata={"description": "A row for each: some of provider, model, virtual_key, user, separated by commas."},
    )
    sort_by = OneOf(
        {name: name for name in (BY_TIME, *UsageAmounts._fields)},
        load_default=BY_TIME,
        metadata={"description": "start: by time; else by an amount. Equal rows: the earliest first, then by group."},
    )
    order = OneOf(
        {"asc": False, "desc": True}, metadata={"description": "asc for start and desc for amounts where left out."}
    )
    format = OneOf(
        {"json": "json", "csv": "csv"},
        load_default="json",
        metadata={"description": "csv: all rows as text/csv, without paging; so does Accept: text/csv."},
    )
