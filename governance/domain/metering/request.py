"""The requests of a gateway: a call to a model, its virtual key and user, and its amounts."""

from typing import NamedTuple

from governance.domain.pricing.tokens import TokenCounts

MAX_REQUESTS = 10**6
"""The largest number of requests in one report (docs/contract.md §1)."""
DEFAULT_TTL = 600
"""The length of a reservation in seconds if the request does not set `ttl_seconds`."""
LONGEST_TTL = 86_400


class Call(NamedTuple):
    """A call to a model, with its virtual key and user. An absent id is None."""

    model: str
    provider: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None


class RequestedAmounts(NamedTuple):
    """The amounts that a call requests, in the units of `Amounts`.

    None means that the amount is not given. That is not the same as 0. `counts` has the tokens by kind if the request
    gives them. `tokens` is then their sum.
    """

    cost: int | None = None
    tokens: int | None = None
    requests: int = 1
    counts: TokenCounts | None = None

    @property
    def needs_price(self) -> bool:
        """Whether the cost is to be computed: the request gives tokens by kind, and no cost."""
        return self.counts is not None and self.cost is None


class ReservationRequest(NamedTuple):
    """A request to reserve.

    `virtual_key` is the value of the virtual key if the request gives the value instead of the id.
    """

    call: Call
    amounts: RequestedAmounts
    ttl_seconds: int = DEFAULT_TTL
    virtual_key: str | None = None
