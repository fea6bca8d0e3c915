"""Writes the windows of a limit, with their usage, and its forecast as JSON.

A limit has rules. A rule is one maximum of dollars, tokens or requests (its metric) in each window of time. A forecast
says when the rule will be used up.
"""

from collections.abc import Callable
from typing import Any

from governance.domain.history.forecast import Forecast, Pace, a_day
from governance.domain.history.windows import CountedWindow
from governance.domain.limits.limit import Metric
from governance.domain.times import rfc3339
from schemas.fields import OneOf
from schemas.queries import PageQuery, QueryText
from schemas.render import dollars

SHARE_DIGITS = 4
"""The number of decimal places in `passed`, the share of a window that has passed."""


class WindowsQuery(PageQuery):
    """The query string of `GET /model-configs/{id}/windows`."""

    rule_id = QueryText(metadata={"description": "Only windows of this budget or rate limit."})
    metric = OneOf(
        {metric.value: metric.value for metric in Metric}, metadata={"description": "Only windows of this metric."}
    )


def window(found: CountedWindow, now: int) -> dict[str, Any]:
    """Return a window with its usage as JSON. If the metric is cost, the amounts are in dollars."""
    shown = _shown(found.metric)
    return {
        "rule_id": found.rule_id,
        "kind": _kind(found.metric),
        "metric": found.metric,
        "start": rfc3339(found.start),
        "end": rfc3339(found.end),
        "is_current": found.end > now,
        "used": shown(found.used),
        "reserved": shown(found.reserved),
        "limit": None if found.max_limit is None else shown(found.max_limit),
    }


def forecast(found: Forecast) -> dict[str, Any]:
    """Return the forecast of a rule as JSON, with the numbers from which it is computed."""
    rule, window = found.rule, found.window
    shown = _shown(rule.metric)
    return {
        "rule_id": rule.id,
        "kind": _kind(rule.metric),
        "metric": rule.metric,
        "reset_duration": rule.reset_duration,
        "limit": shown(rule.max_limit),
        "used": shown(window.used),
        "reserved": shown(window.reserved),
        "window_start": rfc3339(window.start),
        "resets_at": rfc3339(window.end),
        "outlook": found.outlook,
        "possible_from": rfc3339(found.possible_from),
        "runs_out_at": None if found.runs_out_at is None else rfc3339(found.runs_out_at),
        "at_reset": None if found.at_reset is None else shown(found.at_reset),
        "passed": round(float(found.passed), SHARE_DIGITS),
        "pace_per_day": None if found.pace is None else _pace(found.pace, shown),
        "past_windows": [
            {"start": rfc3339(past.start), "end": rfc3339(past.end), "used": shown(past.used)} for past in found.past
        ],
    }


def _pace(pace: Pace, shown: Callable[[int], Any]) -> dict[str, Any]:
    return {name: None if value is None else shown(a_day(value)) for name, value in pace._asdict().items()}


def _kind(metric: str) -> str:
    return "budget" if metric == Metric.COST else "rate_limit"


def _shown(metric: str) -> Callable[[int], Any]:
    """Return the function that converts an amount to JSON: for the metric cost, from nano-dollars to dollars."""
    return dollars if metric == Metric.COST else int
