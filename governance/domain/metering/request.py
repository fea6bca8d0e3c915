"""What a gateway asks of the limits: a call to a model, on whose behalf, and how much of it."""

from typing import NamedTuple

MAX_TOKENS = 10**12
"""The most tokens of one call (docs/contract.md §1)."""
MAX_REQUESTS = 10**6
"""The most requests of one report (docs/contract.md §1)."""
DEFAULT_TTL = 600
"""Seconds that a hold lasts where the request does not say how long."""
LONGEST_TTL = 86_400


class Call(NamedTuple):
    """A call to a model, and on whose behalf it is made; ids are None where they are not in play."""

    model: str
    provider: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None


class RequestedAmounts(NamedTuple):
    """What a call asks for, in the units of `Amounts`; None is an amount left out, which is not the same as 0."""

    cost: int | None = None
    tokens: int | None = None
    requests: int = 1


class ReservationRequest(NamedTuple):
    """What a reservation asks for. `virtual_key` is the key's value where that was given instead of its id."""

    call: Call
    amounts: RequestedAmounts
    ttl_seconds: int = DEFAULT_TTL
    virtual_key: str | None = None
