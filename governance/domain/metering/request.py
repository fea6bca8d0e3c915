"""The content of a gateway's request: a call to a model, the call's virtual key and user, and its amounts."""

from typing import NamedTuple

from governance.domain.pricing.tokens import TokenCounts

MAX_REQUESTS = 10**6
"""One usage report may count at most this many requests (docs/contract.md §1)."""
DEFAULT_TTL = 600
"""The time in seconds after which a reservation expires if the request does not set `ttl_seconds`."""
LONGEST_TTL = 86_400


class Call(NamedTuple):
    """A call to a model, with its virtual key and user. An id that the call does not give is None."""

    model: str
    provider: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None


class RequestedAmounts(NamedTuple):
    """The amounts that a call requests.

    `cost` is in nano-dollars (billionths of a dollar). None means that an amount is not given, which is different from
    0. `counts` contains the tokens by kind (input, output, cached and others) if the request gives them. Then `tokens`
    is the sum of input and output.
    """

    cost: int | None = None
    tokens: int | None = None
    requests: int = 1
    counts: TokenCounts | None = None

    @property
    def needs_price(self) -> bool:
        """Whether the cost must be computed: the request gives tokens by kind, but no cost."""
        return self.counts is not None and self.cost is None


class ReservationRequest(NamedTuple):
    """A request to reserve.

    If the request contains the secret value of the virtual key instead of its id, `virtual_key` is that value.
    """

    call: Call
    amounts: RequestedAmounts
    ttl_seconds: int = DEFAULT_TTL
    virtual_key: str | None = None
