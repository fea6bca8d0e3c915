"""Messages about a call whose price is not known. Each message contains the command that sets the price."""

from governance.domain.metering.decision import Decision
from governance.domain.metering.reservation import Reservation
from schemas.pricing.command import command

REFUSED = "Set the price of this model: {}; or send cost. A budget applies to the call, and its price is not known."
UNCHARGED = "Set the price of this model: {}. It is not known, so {}."


def refused(decision: Decision) -> str:
    """Return what to do about a call that was refused because its price is not known."""
    return REFUSED.format(command(decision.call.model, decision.call.provider))


def warnings(decision: Decision, effect: str) -> list[str]:
    """Return the warning about an admitted call without a known price. `effect` says what happened to the call."""
    if decision.priced is None or not decision.priced.is_unknown:
        return []
    return [UNCHARGED.format(command(decision.call.model, decision.call.provider), effect)]


def settle_warnings(after: Reservation) -> list[str]:
    """Return the warning about a settle that gave tokens by kind without a known price."""
    return [UNCHARGED.format(command(after.model, after.provider), "the cost was charged as it was held")]
