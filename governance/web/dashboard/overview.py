"""The first page of the dashboard: recent usage and its largest spenders, the most used limits, and refused calls."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.domain.history.calendar import Calendar
from governance.domain.history.forecast import Forecast, Outlook
from governance.domain.history.query import Group
from governance.domain.records.list_query import Filter, ListQuery, Order, Page
from governance.domain.times import rfc3339
from governance.services.limits.model_limits import Listing
from governance.web.dashboard import limit_views, usage_charts
from governance.web.dashboard.core.blueprint import shows

DAYS = 30
SHOWN = ("requests", "cost", "denied")
MOST_SPENDERS = 5
MOST_LIMITS = 6
GROUPS = ((Group.MODEL, "By model"), (Group.VIRTUAL_KEY, "By virtual key"), (Group.USER, "By user"))


class NearLimit(NamedTuple):
    """One of the most used limits, and the result of the forecasts for its rules.

    `runs_out_at` is the first instant at which one of the rules will be used up (microseconds). It is None if no rule
    will be used up later, or if that is not known. `is_used_up` is true if a rule is used up already.
    """

    limit: dict[str, Any]
    runs_out_at: int | None
    is_used_up: bool


@shows("")
def overview() -> ResponseReturnValue:
    """Show the overview."""
    history, timezone = governance().history, governance().settings.timezone
    today = history.days_ago(0)
    month = Calendar(timezone).month_of(today)
    days = usage_charts.over_time(SHOWN, since=rfc3339(history.days_ago(DAYS - 1)), bucket="day")
    spenders, month_sum = usage_charts.spenders([group for group, _ in GROUPS], month, MOST_SPENDERS)
    listed = _nearest()
    return render_template(
        "dashboard/overview.html",
        timezone=timezone,
        today=days.rows[-1].amounts if days.rows and days.rows[-1].span.start >= today else None,
        month=month_sum,
        spent=usage_charts.points(days.rows, "cost", usage_charts.MONEY),
        refused=usage_charts.points(days.rows, "denied", usage_charts.COUNT),
        days=days.sum,
        groups=[(title, found) for (_, title), found in zip(GROUPS, spenders, strict=True)],
        near=_near([limit_views.parsed(document) for document in listed.documents]),
        total=listed.total,
    )


def _nearest() -> Listing:
    query = ListQuery(Page(MOST_LIMITS, 0), Filter(), Order("usage", descending=True), from_memory=True)
    return governance().model_limits.page(query)


def _near(limits: Sequence[dict[str, Any]]) -> list[NearLimit]:
    """Return the limits with the results of their forecasts. A limit that was deleted meanwhile has no forecasts."""
    found = governance().limit_windows.forecasts_of([limit["id"] for limit in limits])
    of_limits = [(limit, found.get(limit["id"], [])) for limit in limits]
    return [
        NearLimit(limit, _first(forecasts), any(each.outlook == Outlook.USED_UP for each in forecasts))
        for limit, forecasts in of_limits
    ]


def _first(found: Sequence[Forecast]) -> int | None:
    return min((each.runs_out_at for each in found if each.runs_out_at is not None), default=None)
