"""The states of a reservation, and pure functions that change the state.

A reservation holds the estimated amounts of a call. A settle ends the reservation and charges what the call used. A
release ends the reservation and charges nothing.

open ──settle──▶ settled          expired ──settle──▶ settled, late
  │ ──release─▶ released             └─────release──▶ released, late
  └─(expires_at)─▶ expired: charged at its estimate, or at 0, as the settings say

An open reservation is late from `expires_at` on. A background job marks it as expired later.
"""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.errors import Code, Conflict
from governance.domain.pricing.schedule import CostSource
from governance.domain.pricing.tokens import TokenCounts


class Amounts(NamedTuple):
    """The amounts that a call reserves or used, by metric: nano-dollars, tokens and requests."""

    cost: int = 0
    tokens: int = 0
    requests: int = 1

    def of(self, metric: str) -> int:
        """Return the amount that a rule with this metric counts."""
        return int(getattr(self, metric))


class Status(StrEnum):
    """The state of a reservation. The state `reported` is for usage that was reported without a reservation."""

    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"
    REPORTED = "reported"


OVER = {Status.SETTLED: Code.ALREADY_SETTLED, Status.RELEASED: Code.ALREADY_RELEASED}


class Reservation(NamedTuple):
    """A reservation of amounts for a call. The amounts count in each limit that applied to the call.

    Times are in microseconds since 1970. Money is in nano-dollars. Admission is the moment at which the reservation was
    granted. `held_*` are the amounts reserved at admission. These amounts never change. `used_*` are the amounts that
    are charged now. `ended_at` is the time at which `used_*` was last set, by a clock that never goes back
    (`storage.limits.counters.touch`). `price` is the price at admission as JSON (`EffectivePrice.text`), or None.
    `cost_source` says where the cost comes from. `input_tokens`, `output_tokens` and `cached_tokens` contain the tokens
    by kind, if the caller gave them. While the reservation is open, these three fields contain the reserved tokens.
    Later, they contain the charged tokens.
    """

    id: str
    status: str
    model: str
    provider: str | None
    virtual_key_id: str | None
    user_id: str | None
    requests: int
    held_tokens: int
    held_cost: int
    used_tokens: int
    used_cost: int
    created_at: int
    expires_at: int
    settled_at: int | None
    late: bool
    ended_at: int | None = None
    price: str | None = None
    cost_source: str = CostSource.NONE
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    @property
    def held(self) -> Amounts:
        """The amounts reserved at admission."""
        return Amounts(self.held_cost, self.held_tokens, 1)

    @property
    def used(self) -> Amounts:
        """The amounts that are charged now. They are 0 while the reservation is open."""
        if self.status == Status.OPEN:
            return Amounts(0, 0, 0)
        return Amounts(self.used_cost, self.used_tokens, self.requests)

    def is_late(self, now: int) -> bool:
        """Return whether the reservation has reached `expires_at`. It may still be marked as open."""
        return self.status == Status.EXPIRED or (self.status == Status.OPEN and now >= self.expires_at)


class Actual(NamedTuple):
    """The amounts that a settle reports.

    If an amount is None, the settle charges the reserved amount. If an amount is 0, the settle charges 0. `counts`
    contains the tokens by kind if the settle gives them. `cost_source` says where `cost` comes from. `price` is the
    price, as JSON, from which the cost was computed.
    """

    tokens: int | None
    cost: int | None
    counts: TokenCounts | None = None
    cost_source: str = CostSource.GIVEN
    price: str | None = None

    @property
    def needs_price(self) -> bool:
        """Whether the cost must be computed: the settle gives tokens by kind, but no cost."""
        return self.counts is not None and self.cost is None


def settled(before: Reservation, actual: Actual, now: int) -> Reservation:
    """Return the reservation after a settle.

    If the reservation is already settled with the same amounts, return `before` itself. Raises Conflict if it is
    settled with other amounts, or if it is released.
    """
    tokens = before.held_tokens if actual.tokens is None else actual.tokens
    cost = before.held_cost if actual.cost is None else actual.cost
    if before.status == Status.SETTLED:
        return _repeated(before, actual)
    if before.status == Status.RELEASED:
        raise _over(before)
    counts = _counts(before, actual)
    return before._replace(
        status=Status.SETTLED,
        requests=1,
        used_tokens=tokens,
        used_cost=cost,
        settled_at=now,
        late=before.is_late(now),
        price=before.price or actual.price,
        cost_source=before.cost_source if actual.cost is None else actual.cost_source,
        input_tokens=counts.input,
        output_tokens=counts.output,
        cached_tokens=counts.cached_input,
    )


def _counts(before: Reservation, actual: Actual) -> TokenCounts:
    """Return the tokens by kind that a settle charges.

    If the settle gives no tokens, return the reserved tokens. If it gives only their total, return zeros.
    """
    if actual.counts is not None:
        return actual.counts
    if actual.tokens is not None:
        return TokenCounts()
    return TokenCounts(before.input_tokens, before.cached_tokens, output=before.output_tokens)


def _repeated(before: Reservation, actual: Actual) -> Reservation:
    same = actual.tokens in (None, before.used_tokens) and actual.cost in (None, before.used_cost)
    if not same:
        sentence = "Leave it: this reservation was settled with other amounts, and a settle counts once."
        raise Conflict(sentence, code=Code.ALREADY_SETTLED)
    return before


def released(before: Reservation, now: int) -> Reservation:
    """Return the reservation after a release.

    If the reservation is already released, return `before` itself. Raises Conflict if it is settled.
    """
    if before.status == Status.RELEASED:
        return before
    if before.status == Status.SETTLED:
        raise _over(before)
    return before._replace(status=Status.RELEASED, requests=0, used_tokens=0, used_cost=0, late=before.is_late(now))


def extended(before: Reservation, expires_at: int, now: int) -> Reservation:
    """Return the reservation with a later `expires_at`, never an earlier one.

    Raises Conflict if the reservation has ended or has reached `expires_at`.
    """
    if before.status in OVER:
        raise _over(before)
    if before.is_late(now):
        sentence = "Reserve anew: this reservation has expired. What was used can still be settled."
        raise Conflict(sentence, code=Code.RESERVATION_EXPIRED)
    return before._replace(expires_at=max(before.expires_at, expires_at))


def expired(before: Reservation, *, charge: bool) -> Reservation:
    """Return an open reservation after it has expired.

    If `charge` is true, the reserved amounts are charged. Otherwise nothing is charged.
    """
    if charge:
        return before._replace(status=Status.EXPIRED, used_tokens=before.held_tokens, used_cost=before.held_cost)
    return before._replace(status=Status.EXPIRED, requests=0, used_tokens=0, used_cost=0)


def _over(before: Reservation) -> Conflict:
    return Conflict(f"Leave it: this reservation is {before.status} already.", code=OVER[Status(before.status)])
