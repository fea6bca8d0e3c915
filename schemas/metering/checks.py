"""Writes the response to a check as JSON. A check says how a reservation would be decided, and reserves nothing."""

from typing import Any

from governance.domain.metering.decision import Decision
from governance.domain.metering.matching import UnmatchedLimits
from schemas.metering.decisions import price, rules
from schemas.metering.denials import refusal
from schemas.metering.unknown_prices import warnings
from schemas.render import dollars


def checked(decision: Decision, unmatched: UnmatchedLimits) -> dict[str, Any]:
    """Return the decision about the call, and limits on its model or provider that do not apply, with the reasons."""
    asked = decision.priced
    cost = asked and asked.amounts.cost
    told = {
        "decision": "allow" if decision.allowed else "deny",
        "message": None if decision.allowed else refusal(decision).message,
        "cost": None if cost is None else dollars(cost),
        "cost_source": asked and asked.cost_source,
        "price": price(asked.price.text) if asked and asked.price else None,
        "limits": rules(decision.statuses),
        "violations": rules(decision.violations),
        "unmatched": _unmatched(unmatched),
    }
    found = warnings(decision, "no dollars would be held") if decision.allowed else []
    return told | {"warnings": found} if found else told


def _unmatched(found: UnmatchedLimits) -> dict[str, Any]:
    limits = [
        {
            "model_config_id": limit.id,
            "model_name": limit.model_name,
            "provider": limit.provider,
            "scope": limit.scope,
            "scope_id": limit.scope_id,
            "reason": reason,
        }
        for limit, reason in found.limits
    ]
    return {"count": found.total, "limits": limits}
