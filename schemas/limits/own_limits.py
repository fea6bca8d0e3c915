"""Writes the limits of one virtual key as JSON, for the holder of this key.

A rule is one maximum of dollars, tokens or requests in each window of time.
"""

from collections.abc import Sequence
from typing import Any

from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import Metric, OwnRule
from governance.domain.times import rfc3339
from schemas.render import dollars


def shown(key: VirtualKey, rules: Sequence[OwnRule]) -> dict[str, Any]:
    """Return a virtual key with the rules of the limits on this key alone."""
    expires_at = None if key.expires_at is None else rfc3339(key.expires_at)
    own = {"id": key.id, "name": key.name, "expires_at": expires_at}
    return {"virtual_key": own, "limits": [_rule(each) for each in rules]}


def _rule(own: OwnRule) -> dict[str, Any]:
    rule, window = own.rule, own.window
    is_budget = rule.metric == Metric.COST
    show = dollars if is_budget else int
    return {
        "rule_id": rule.id,
        "kind": "budget" if is_budget else "rate_limit",
        "metric": rule.metric,
        "model_name": own.model_name,
        "provider": own.provider,
        "reset_duration": rule.reset_duration,
        "used": show(window.used),
        "reserved": show(window.reserved),
        "limit": show(rule.max_limit),
        "remaining": show(max(0, rule.max_limit - window.used - window.reserved)),
        "resets_at": rfc3339(window.end),
    }
