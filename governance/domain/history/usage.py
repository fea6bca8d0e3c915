"""What calls have used, by whom: the amounts that a reservation adds to its bucket of usage."""

from functools import lru_cache
from operator import add, sub
from typing import NamedTuple

from governance.domain.metering.request import Call
from governance.domain.metering.reservation import Reservation, Status
from governance.domain.names import spelled
from governance.domain.times import MINUTE

BUCKET = 15 * MINUTE
"""The length of a bucket. The offsets of all time zones are multiples of it."""
OTHER = "(other)"
"""The names of the usage beyond the combinations that are kept apart in a day."""
MODELS_REMEMBERED = 8192


class Series(NamedTuple):
    """Who used what: the canonical provider and model, the virtual key and the user; '' if the call had none."""

    provider: str
    model: str
    virtual_key_id: str
    user_id: str


REST = Series(OTHER, OTHER, OTHER, OTHER)


class UsageAmounts(NamedTuple):
    """Sums of usage: calls, tokens, and nano-dollars.

    `cached_tokens` are a part of `input_tokens`. `other_tokens` were not given by kind. `overrun` is the cost beyond
    what was held. `denied` are calls that were refused.
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
        """Return the sum of both."""
        return UsageAmounts._make(map(add, self, other))

    def minus(self, other: "UsageAmounts") -> "UsageAmounts":
        """Return the difference of both."""
        return UsageAmounts._make(map(sub, self, other))


NOTHING = UsageAmounts()


def bucket_of(instant: int) -> int:
    """Return the start of the bucket of an instant, in microseconds."""
    return instant - instant % BUCKET


def series_of(used: Reservation | Call) -> Series:
    """Return who used what. Other spellings of a model are the same series."""
    provider, model = _spelled(used.model, used.provider)
    return Series(provider, model, used.virtual_key_id or "", used.user_id or "")


def charged(reservation: Reservation) -> UsageAmounts:
    """Return what a reservation has used so far; nothing while it is open or once it is released."""
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
