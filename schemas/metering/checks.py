"""The JSON response to a check."""

from typing import Any

from governance.domain.metering.decision import Decision
from governance.domain.metering.matching import UnmatchedLimits
from schemas.metering.decisions import rules
from schemas.metering.denials import refusal


def checked(decision: Decision, unmatched: UnmatchedLimits) -> dict[str, Any]:
    """Return the decision that a reservation would get, and the limits that do not apply."""
    return {
        "decision": "allow" if decision.allowed else "deny",
        "message": None if decision.allowed else refusal(decision).message,
        "limits": rules(decision.statuses),
        "violations": rules(decision.violations),
        "unmatched": _unmatched(unmatched),
    }


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
