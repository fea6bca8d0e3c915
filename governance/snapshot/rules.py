"""Lists the budgets of all limits, and the rate limits of all limits.

A limit has rules. A budget is one rule, which sets a maximum of dollars. A rate limit is one or two rules with the same
id, which set a maximum of tokens or requests.
"""

from collections.abc import Iterable
from typing import NamedTuple

from governance.domain.limits.limit import Limit, Metric


class FlatItem(NamedTuple):
    """A budget or rate limit, and the id of its limit. Items are sorted by the time of creation, then by id."""

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
