"""Messages about a call whose price is not known. Each message contains the command that sets the price."""

from governance.domain.metering.decision import Decision
from governance.domain.metering.reservation import Reservation
from governance.domain.pricing.schedule import CostSource
from schemas.pricing.command import command

REFUSED = "Set the price of this model: {}; or send cost. A budget applies to the call, and its price is not known."
PLAIN_TOTAL = (
    "Send input_tokens and output_tokens, or usage, or cost: a total of tokens alone has no price, so 0 dollars were "
    "charged."
)
UNCHARGED = "Set the price of this model: {}. It is not known, so {}."


def refused(decision: Decision) -> str:
    """Return what to do about a call that was refused because its price is not known."""
    return REFUSED.format(command(decision.call.model, decision.call.provider))


def warnings(decision: Decision, effect: str) -> list[str]:
    """Return the warning about an admitted call without a known price. `effect` says what follows for its cost.

    If no warning is needed, return an empty list.
    """
    if decision.priced is None or not decision.priced.is_unknown:
        return []
    return [UNCHARGED.format(command(decision.call.model, decision.call.provider), effect)]


def report_warnings(decision: Decision) -> list[str]:
    """Return the warning that reported tokens were charged with 0 dollars, because no price could be applied."""
    used = decision.priced
    if used is not None and used.cost_source == CostSource.NONE and used.amounts.counts is None and used.amounts.tokens:
        return [PLAIN_TOTAL]
    return warnings(decision, "0 dollars were charged")


def settle_warnings(after: Reservation) -> list[str]:
    """Return the warning that a settle gave tokens by kind, but the price of the model is not known."""
    return [UNCHARGED.format(command(after.model, after.provider), "the cost was charged as it was held")]
