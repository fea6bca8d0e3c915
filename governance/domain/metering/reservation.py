"""A reservation's life, as pure steps from one state to the next.

open ──settle──▶ settled          expired ──settle──▶ settled, late
  │ ──release─▶ released             └─────release──▶ released, late
  └─(expires_at)─▶ expired: charged at its estimate, or (policy) at nothing

An open reservation is late from `expires_at` on, whether or not it has been swept.
"""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.errors import Code, Conflict


class Amounts(NamedTuple):
    """What a call holds, or used: nano-dollars, tokens, requests; by the names of the metrics."""

    cost: int = 0
    tokens: int = 0
    requests: int = 1

    def of(self, metric: str) -> int:
        """The amount that a rule of this metric counts."""
        return int(getattr(self, metric))


class Status(StrEnum):
    """What became of a reservation; `reported` is usage that had none."""

    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"
    REPORTED = "reported"


OVER = {Status.SETTLED: Code.ALREADY_SETTLED, Status.RELEASED: Code.ALREADY_RELEASED}


class Reservation(NamedTuple):
    """A hold on every rule that applied to a call. Instants in microseconds, money in nano-dollars.

    `held_*` is what was held at admission and stays as it was; `used_*` is what is charged now; `ended_at` is when
    that was last settled, by the clock that never steps back (`storage.counters.touch`).
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

    @property
    def held(self) -> Amounts:
        """What was held at admission."""
        return Amounts(self.held_cost, self.held_tokens, 1)

    @property
    def used(self) -> Amounts:
        """What is charged now: nothing, while it is open."""
        if self.status == Status.OPEN:
            return Amounts(0, 0, 0)
        return Amounts(self.used_cost, self.used_tokens, self.requests)

    def is_late(self, now: int) -> bool:
        """Whether its time is over, swept or not."""
        return self.status == Status.EXPIRED or (self.status == Status.OPEN and now >= self.expires_at)


class Actual(NamedTuple):
    """What a settle says was used; None is "as held", which is not the same as 0."""

    tokens: int | None
    cost: int | None


def settled(before: Reservation, actual: Actual, now: int) -> Reservation:
    """The reservation after a settle; the very same where it repeats the first one. Raises Conflict."""
    tokens = before.held_tokens if actual.tokens is None else actual.tokens
    cost = before.held_cost if actual.cost is None else actual.cost
    if before.status == Status.SETTLED:
        return _repeated(before, actual)
    if before.status == Status.RELEASED:
        raise _over(before)
    return before._replace(
        status=Status.SETTLED,
        requests=1,
        used_tokens=tokens,
        used_cost=cost,
        settled_at=now,
        late=before.is_late(now),
    )


def _repeated(before: Reservation, actual: Actual) -> Reservation:
    same = actual.tokens in (None, before.used_tokens) and actual.cost in (None, before.used_cost)
    if not same:
        sentence = "Leave it: this reservation was settled with other amounts, and a settle counts once."
        raise Conflict(sentence, code=Code.ALREADY_SETTLED)
    return before


def released(before: Reservation, now: int) -> Reservation:
    """The reservation after a release; the very same where it repeats the first one. Raises Conflict."""
    if before.status == Status.RELEASED:
        return before
    if before.status == Status.SETTLED:
        raise _over(before)
    return before._replace(status=Status.RELEASED, requests=0, used_tokens=0, used_cost=0, late=before.is_late(now))


def extended(before: Reservation, expires_at: int, now: int) -> Reservation:
    """The reservation with a later end, never an earlier one. Raises Conflict where it is no longer open."""
    if before.status in OVER:
        raise _over(before)
    if before.is_late(now):
        sentence = "Reserve anew: this reservation has expired. What was used can still be settled."
        raise Conflict(sentence, code=Code.RESERVATION_EXPIRED)
    return before._replace(expires_at=max(before.expires_at, expires_at))


def expired(before: Reservation, *, charge: bool) -> Reservation:
    """An open reservation whose time is over: charged at its estimate, or not at all."""
    if charge:
        return before._replace(status=Status.EXPIRED, used_tokens=before.held_tokens, used_cost=before.held_cost)
    return before._replace(status=Status.EXPIRED, requests=0, used_tokens=0, used_cost=0)


def _over(before: Reservation) -> Conflict:
    return Conflict(f"Leave it: this reservation is {before.status} already.", code=OVER[Status(before.status)])
