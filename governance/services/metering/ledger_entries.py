"""Builds the rows to store for a call: the reservation of an admitted call, or the entry of a usage report."""

from typing import Any

from governance.domain.metering.priced import PricedAmounts
from governance.domain.metering.request import ReservationRequest
from governance.domain.metering.reservation import Reservation, Status
from governance.domain.pricing.tokens import TokenCounts
from governance.domain.times import SECOND
from governance.services.metering.match_cache import MatchedCall
from governance.services.random_ids import RandomIds


def _priced_fields(asked: PricedAmounts) -> dict[str, Any]:
    """Return the fields of a reservation that contain its price and its numbers of input, output and cached tokens."""
    counts = asked.amounts.counts or TokenCounts()
    return {
        "price": asked.price_text,
        "cost_source": asked.cost_source,
        "input_tokens": counts.input,
        "output_tokens": counts.output,
        "cached_tokens": counts.cached_input,
    }


def reservation(
    request: ReservationRequest, asked: PricedAmounts, matched: MatchedCall, now: int, random_ids: RandomIds
) -> Reservation:
    """Build the reservation of an admitted call."""
    return Reservation(
        random_ids.new_ordered_id(now),
        Status.OPEN,
        *matched.call,
        requests=1,
        held_tokens=asked.amounts.tokens or 0,
        held_cost=asked.amounts.cost or 0,
        used_tokens=0,
        used_cost=0,
        created_at=now,
        expires_at=now + request.ttl_seconds * SECOND,
        settled_at=None,
        late=False,
        **_priced_fields(asked),
    )


def report(asked: PricedAmounts, matched: MatchedCall, now: int, random_ids: RandomIds) -> Reservation:
    """Build the entry for usage that was reported without a reservation. It reserves nothing and has ended."""
    return Reservation(
        random_ids.new_ordered_id(now),
        Status.REPORTED,
        *matched.call,
        requests=asked.amounts.requests,
        held_tokens=0,
        held_cost=0,
        used_tokens=asked.amounts.tokens or 0,
        used_cost=asked.amounts.cost or 0,
        created_at=now,
        expires_at=now,
        settled_at=now,
        late=False,
        ended_at=now,
        **_priced_fields(asked),
    )
