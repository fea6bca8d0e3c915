"""Counters and reservations in memory, with changes that are not yet written to the database.

A unit of work is one database transaction that decides or charges many calls. It changes these objects first, and
writes them at its end. A counter contains the used and reserved amounts of one rule in one window of time. A ledger row
contains the held (reserved) and used amounts of one reservation on one counter. `folded` is the part of `used` that is
in no ledger row, for example because the row was deleted. So used = folded + Σ used of the counter's ledger rows.
"""

from dataclasses import dataclass, field

from governance.domain.errors import InvalidRequest
from governance.domain.limits.limit import Counter
from governance.domain.metering.reservation import Reservation
from governance.storage.tables import LARGEST_SUM

CounterKey = tuple[str, str, int]
"""(rule id, metric, generation)."""


@dataclass(slots=True)
class PendingCounter:
    """A counter with changes that are not written yet.

    `id` is None until a new counter is stored. `max_limit` is the maximum of the rule. Only a new counter has it.
    """

    id: int | None
    rule_id: str
    metric: str
    generation: int
    start: int
    end: int
    used: int
    reserved: int
    folded: int
    reset_at: int = 0
    moved: bool = False
    stretched: bool = False
    max_limit: int | None = None

    @property
    def key(self) -> CounterKey:
        """The rule id, metric and generation of the counter."""
        return self.rule_id, self.metric, self.generation

    @property
    def counter(self) -> Counter:
        """The counter as an immutable value."""
        return Counter(self.start, self.end, self.used, self.reserved)

    def refuse_beyond(self, held: int, used: int) -> None:
        """Raise InvalidRequest if adding `held` and `used` would make a sum larger than `LARGEST_SUM`.

        Two sums are checked: the counter's amounts, and the amounts of its ledger rows. The `used` amounts of the
        ledger rows add up to `used - folded`. Reserved amounts count as used, because a later charge turns them into
        used amounts.
        """
        more = held + used
        if more > 0 and self.used + self.reserved - min(0, self.folded) + more > LARGEST_SUM:
            raise InvalidRequest(
                f"Give less, or PUT reset_usage: true on the limit of rule {self.rule_id}: the sum of its "
                f"{self.metric} in this window would pass 2^62.",
                param=self.metric,
            )

    def move(self, held: int, used: int) -> None:
        """Add `held` to the counter's reserved amount and `used` to its used amount. Both may be negative.

        If the counter's used amount would fall below 0, it becomes 0, and the missing amount is added to `folded`.
        """
        self.reserved += held
        after = self.used + used
        self.used = max(0, after)
        self.folded += self.used - after
        self.moved = True

    def stretch(self, end: int) -> None:
        """Change the end of the window. This is needed if a time zone gets new rules, for example for summer time."""
        self.end, self.stretched = end, True


@dataclass(slots=True)
class PendingEntry:
    """A ledger row with changes that are not written yet.

    `counter` is None if the counter was deleted.
    """

    counter_id: int
    held: int
    used: int
    counter: PendingCounter | None = None


@dataclass(slots=True)
class PendingReservation:
    """A stored reservation with changes that are not written yet, and its ledger rows."""

    seq: int
    reservation: Reservation
    entries: list[PendingEntry] = field(default_factory=list)
    changed: bool = False
