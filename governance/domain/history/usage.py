"""The values of the usage history: the usage of calls, summed by provider, model, virtual key and user.

A bucket contains the sums of 15 minutes. Each reservation adds its amounts to one bucket.
"""

from functools import lru_cache
from operator import add, sub
from typing import NamedTuple

from governance.domain.metering.request import Call
from governance.domain.metering.reservation import Reservation, Status
from governance.domain.names import spelled
from governance.domain.times import MINUTE

BUCKET = 15 * MINUTE
"""The length of a bucket in microseconds.

The offset of every time zone is a multiple of this length, so each day consists of whole buckets.
"""
OTHER = "(other)"
"""The name under which some series are stored as one sum, if a day has too many series to store each one separately."""
MODELS_REMEMBERED = 8192


class Series(NamedTuple):
    """A combination of provider, model, virtual key and user, for which usage is summed.

    Provider and model are in canonical form: one spelling for each. A field is '' if the call did not have it.
    """

    provider: str
    model: str
    virtual_key_id: str
    user_id: str


REST = Series(OTHER, OTHER, OTHER, OTHER)


class UsageAmounts(NamedTuple):
    """Sums of usage: calls, tokens, and nano-dollars.

    `input_tokens` includes `cached_tokens`. `other_tokens` counts tokens that were reported without their kind.
    `overrun` is the cost beyond the reserved cost. `denied` is the number of refused calls.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    other_tokens: int = 0
    cost: int = 0
    overrun: int = 0
    denied: int = 0

    def plus(self, other: "UsageAmounts") -> "UsageAmounts":
        """Add two amounts, field by field."""
        return UsageAmounts._make(map(add, self, other))

    def minus(self, other: "UsageAmounts") -> "UsageAmounts":
        """Subtract the other amounts, field by field."""
        return UsageAmounts._make(map(sub, self, other))


NOTHING = UsageAmounts()


def bucket_of(instant: int) -> int:
    """Return the start of the bucket that contains an instant, in microseconds."""
    return instant - instant % BUCKET


def series_of(used: Reservation | Call) -> Series:
    """Return the series to which a call or reservation belongs. All spellings of a model belong to the same series."""
    provider, model = _spelled(used.model, used.provider)
    return Series(provider, model, used.virtual_key_id or "", used.user_id or "")


def charged(reservation: Reservation) -> UsageAmounts:
    """Return what a reservation has used so far. An open or released reservation has used nothing."""
    used = reservation.used
    if not any(used):
        return NOTHING
    overrun = 0 if reservation.status == Status.REPORTED else used.cost - reservation.held_cost
    return UsageAmounts(
        requests=used.requests,
        input_tokens=reservation.input_tokens,
        output_tokens=reservation.output_tokens,
        cached_tokens=reservation.cached_tokens,
        other_tokens=used.tokens - reservation.input_tokens - reservation.output_tokens,
        cost=used.cost,
        overrun=max(0, overrun),
    )


_spelled = lru_cache(maxsize=MODELS_REMEMBERED)(spelled)
