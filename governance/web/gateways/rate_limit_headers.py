"""The headers `RateLimit` and `RateLimit-Policy` (IETF, draft-ietf-httpapi-ratelimit-headers-10) of an allowed call.

A rule sets a maximum of dollars, tokens or requests in a time window. The headers describe one rule on the caller's own
virtual key or user: the rule with the smallest remaining share. The draft requires integers, so dollars are sent as
microdollars.
"""

from governance.domain.limits.limit import SHARE, Metric, Scope, share
from governance.domain.metering.decision import Decision, RuleStatus
from governance.domain.times import SECOND

NANOS_PER_MICRO = 1000
UNITS = {Metric.COST: "microdollars", Metric.TOKENS: "tokens", Metric.REQUESTS: "requests"}
LARGEST = 10**15 - 1
"""The largest integer of a structured field (RFC 9651)."""


def rate_limit(decision: Decision) -> list[tuple[str, str]]:
    """Return both headers. Return an empty list if no limit on the caller's own key or user applies to the call."""
    own = [status for status in decision.statuses if status.matched.limit.scope != Scope.GLOBAL]
    if not own:
        return []
    tightest = min(own, key=_share_left)
    name, unit = tightest.matched.rule.metric, UNITS[Metric(tightest.matched.rule.metric)]
    quota, left = _shown(tightest, tightest.matched.rule.max_limit), _shown(tightest, _left(tightest))
    window = (tightest.window.end - tightest.window.start) // SECOND
    resets_in = max(0, -(-(tightest.window.end - decision.now) // SECOND))
    return [
        ("RateLimit-Policy", f'"{name}";q={quota};qu="{unit}";w={window}'),
        ("RateLimit", f'"{name}";r={left};t={resets_in}'),
    ]


def _left(status: RuleStatus) -> int:
    """Return the amount that is left after this call."""
    return max(0, status.remaining - status.requested)


def _share_left(status: RuleStatus) -> int:
    return min(SHARE, share(_left(status), status.matched.rule.max_limit))


def _shown(status: RuleStatus, amount: int) -> int:
    shown = amount // NANOS_PER_MICRO if status.matched.rule.metric == Metric.COST else amount
    return min(LARGEST, shown)
