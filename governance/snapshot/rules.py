"""Lists the budgets of all limits, and the rate limits of all limits."""

from collections.abc import Iterable
from typing import NamedTuple

from governance.domain.limits.limit import Limit, Metric


class FlatItem(NamedTuple):
    """The sort key of a budget or rate limit: the time of its creation, then its id."""

    created_at: int
    id: str
    limit_id: str


def of(limits: Iterable[Limit], *, budgets: bool) -> list[FlatItem]:
    """Return all budgets or all rate limits of these limits, in ascending order."""
    return sorted(item for limit in limits for item in _items(limit, budgets=budgets))


def _items(limit: Limit, *, budgets: bool) -> set[FlatItem]:
    return {
        FlatItem(rule.created_at, rule.id, limit.id) for rule in limit.rules if (rule.metric == Metric.COST) == budgets
    }
