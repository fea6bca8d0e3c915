"""The dashboard's page for one limit: its rules with their forecasts, its usage over time, past windows, and changes.

Each rule of a limit sets a maximum of dollars, tokens or requests in a time window.
"""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.domain.limits.limit import Scope
from governance.domain.records.audit import AuditQuery, Entity
from governance.domain.records.list_query import Page
from governance.domain.times import rfc3339
from governance.web.dashboard import audit_views, limit_views, usage_charts
from governance.web.dashboard.core.blueprint import shows
from governance.web.dashboard.limit_forms import version_of
from governance.web.http.context import the_request

DAYS = 30
MOST_WINDOWS = 10
MOST_CHANGES = 5
DONE = {"created": "The limit was created. It holds from the next call on.", "changed": "The limit was changed."}


@shows("limit")
def limit() -> ResponseReturnValue:
    """Show one limit as it is stored now."""
    args = the_request().args
    limit_id = args.get("id", "")
    service = governance()
    rendering = service.model_limits.get(limit_id)
    found = limit_views.parsed(rendering.body)
    forecasts = {each.rule.key: each for each in service.limit_windows.forecasts(limit_id)}
    windows, total, now = service.limit_windows.page(limit_id, None, None, Page(MOST_WINDOWS, 0))
    return render_template(
        "dashboard/limit.html",
        limit=found,
        version=version_of(rendering.etag),
        rules=[(rule, forecasts.get((rule.id, rule.metric))) for rule in found["rules"]],
        history=_history(found),
        windows=windows,
        windows_total=total,
        now=now,
        changes=_changes(limit_id),
        done=DONE.get(args.get("done", "")),
    )


def _history(limit: dict[str, Any]) -> dict[str, Any]:
    """Return the daily usage of the calls to which the limit applies.

    The usage is in dollars if the limit has a budget. Otherwise it is the number of calls.
    """
    whose = {Scope.VIRTUAL_KEY: "virtual_key_id", Scope.USER: "user_id"}.get(limit["scope"])
    page = usage_charts.over_time(
        ("requests", "cost"),
        since=rfc3339(governance().history.days_ago(DAYS - 1)),
        bucket="day",
        model=None if limit["model_name"] == "*" else limit["model_name"],
        provider=limit["provider"],
        **({} if whose is None else {whose: limit["scope_id"]}),
    )
    has_budget = bool(limit["budgets"])
    name, unit = ("cost", usage_charts.MONEY) if has_budget else ("requests", usage_charts.COUNT)
    return {
        "points": usage_charts.points(page.rows, name, unit),
        "sum": unit.shown(getattr(page.sum, name)),
        "is_money": has_budget,
    }


def _changes(limit_id: str) -> list[audit_views.AuditRow]:
    query = AuditQuery(Page(MOST_CHANGES, 0), Entity.MODEL_CONFIG, limit_id, hidden=Entity.API_KEY)
    return [audit_views.row(each) for each in governance().audit.page(query)[0]]
