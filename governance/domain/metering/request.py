"""The requests of a gateway: a call to a model, its virtual key and user, and its amounts."""

from typing import NamedTuple

from governance.domain.pricing.tokens import TokenCounts

MAX_REQUESTS = 10**6
"""The most requests of one report (docs/contract.md §1)."""
DEFAULT_TTL = 600
"""The seconds that a reservation lasts if the request does not set `ttl_seconds`."""
LONGEST_TTL = 86_400


class Call(NamedTuple):
    """A call to a model, with its virtual key and user; an id is None if the call has none."""

    model: str
    provider: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None


class RequestedAmounts(NamedTuple):
    """The amounts that a call requests, in the units of `Amounts`. None means not given, which differs from 0.

    `counts` are the tokens by kind, if they were given so; `tokens` is then their sum.
    """

    cost: int | None = None
    tokens: int | None = None
    requests: int = 1
    counts: TokenCounts | None = None

    @property
    def needs_price(self) -> bool:
        """Whether the cost is to be computed: the tokens are given by kind, and no cost is."""
        return self.counts is not None and self.cost is None


class ReservationRequest(NamedTuple):
    """A request to reserve. `virtual_key` is the value of the virtual key, if it was given instead of the id."""

    call: Call
    amounts: RequestedAmounts
    ttl_seconds: int = DEFAULT_TTL
    virtual_key: str | None = None
