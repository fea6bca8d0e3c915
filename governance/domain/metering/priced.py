"""Adds the cost to the amounts of a call.

The caller gives the cost, or the cost is computed from the tokens by kind and the model's price. "By kind" means that
input, output and cached tokens are counted separately.
"""

from typing import NamedTuple

from governance.domain.errors import InvalidRequest
from governance.domain.limits import money
from governance.domain.metering.request import RequestedAmounts
from governance.domain.metering.reservation import Actual
from governance.domain.pricing.price import Price
from governance.domain.pricing.schedule import CostSource, EffectivePrice
from governance.domain.pricing.tokens import TokenCounts

TOO_DEAR = "Give fewer tokens: by the price of the model they cost more than ${} (the most that one call may)."


class PricedAmounts(NamedTuple):
    """The amounts of a call with their cost.

    `price` is the price of the call's model, or None. A reservation stores the price, so that the settle uses the same
    price. `is_unknown` is true if the cost had to be computed, but the price is unknown or incomplete.
    """

    amounts: RequestedAmounts
    cost_source: str
    price: EffectivePrice | None
    is_unknown: bool = False

    @property
    def price_text(self) -> str | None:
        """The price as text, as a reservation stores it."""
        return None if self.price is None else self.price.text


def priced(amounts: RequestedAmounts, price: EffectivePrice | None) -> PricedAmounts:
    """Return the amounts with their cost. Raises InvalidRequest if the cost is above the largest cost of one call."""
    cost, _, requests, counts = amounts
    if cost is not None or counts is None:
        return PricedAmounts(amounts, CostSource.NONE if cost is None else CostSource.GIVEN, price)
    computed = None if price is None else _cost(price.price, counts, requests)
    if price is None or computed is None:
        return PricedAmounts(amounts, CostSource.NONE, price, is_unknown=True)
    return PricedAmounts(amounts._replace(cost=computed), price.entry.source, price)


def settled_at(actual: Actual, price: Price, source: str, text: str | None = None) -> Actual:
    """Return the amounts of a settle with their cost at this price.

    If the cost cannot be computed from the price, return the amounts unchanged. `source` says where the price comes
    from. `text` is the price as JSON. The caller gives `text` only if the reservation does not store the price yet.
    Raises InvalidRequest if the cost is above the largest cost of one call.
    """
    if actual.counts is None:
        return actual
    computed = _cost(price, actual.counts, 1)
    return actual if computed is None else actual._replace(cost=computed, cost_source=source, price=text)


def _cost(price: Price, counts: TokenCounts, requests: int) -> int | None:
    cost = price.cost(counts, requests)
    if cost is not None and cost > money.MAX_COST:
        raise InvalidRequest(TOO_DEAR.format(money.dollars(money.MAX_COST)), param="input_tokens")
    return cost
