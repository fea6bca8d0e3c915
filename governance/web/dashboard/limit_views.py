"""Converts a limit for the dashboard's pages. The input is the JSON of the API, so that pages and API agree."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from governance.domain.limits.limit import Metric
from governance.web.dashboard.core.formats import nanos, percent

NEARLY = 80
"""From this percentage on, a rule is shown as nearly used up."""
UNITS = {Metric.TOKENS: "token", Metric.REQUESTS: "request"}


class RuleView(NamedTuple):
    """A rule of a limit, and what was used and reserved in its current time window.

    Amounts are in nano-dollars, tokens or requests. Times are RFC 3339.
    """

    id: str
    metric: str
    used: int
    reserved: int
    maximum: int
    duration: str
    starts_at: str
    resets_at: str

    @property
    def taken(self) -> int:
        """The sum of the used and the reserved amount."""
        return self.used + self.reserved

    @property
    def percent(self) -> str:
        """The used and reserved share of the maximum, in percent."""
        return percent(self.taken, self.maximum)

    @property
    def level(self) -> str:
        """`full` if nothing is left, `near` from 80 % on, otherwise `ok`."""
        if self.taken >= self.maximum:
            return "full"
        return "near" if self.taken * 100 >= NEARLY * self.maximum else "ok"

    @property
    def used_width(self) -> int:
        """The width of the used part in a bar of width 100."""
        return min(100, self.used * 100 // self.maximum)

    @property
    def taken_width(self) -> int:
        """The width of the used and reserved part in a bar of width 100."""
        return min(100, self.taken * 100 // self.maximum)


def parsed(document: bytes) -> dict[str, Any]:
    """Parse a limit's JSON into a mapping with exact numbers, and add its rules as `rules`."""
    limit: dict[str, Any] = json.loads(document, parse_float=Decimal)
    limit["rules"] = list(rules(limit))
    return limit


def rules(limit: Mapping[str, Any]) -> Iterable[RuleView]:
    """Yield the rules of a limit in the order of its JSON."""
    for item in limit["budgets"]:
        used, reserved, maximum = (nanos(item[name]) for name in ("current_usage", "reserved", "max_limit"))
        span = item["reset_duration"], item["last_reset"], item["resets_at"]
        yield RuleView(item["id"], Metric.COST, used, reserved, maximum, *span)
    for item in limit["rate_limits"]:
        for metric, unit in UNITS.items():
            if item[f"{unit}_max_limit"] is not None:
                yield _rate(item, metric, unit)


def _rate(item: Mapping[str, Any], metric: str, unit: str) -> RuleView:
    names = ("current_usage", "reserved", "max_limit", "reset_duration", "last_reset", "resets_at")
    return RuleView(item["id"], metric, *(item[f"{unit}_{name}"] for name in names))
