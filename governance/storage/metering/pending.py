"""Counters and reservations with the changes of a unit of work that are not written yet.

A ledger row contains the amounts of one reservation on one counter.
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

    A new counter has no id until it is stored, and it contains the maximum of its rule.
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
        """Raise InvalidRequest if the counter or the sum of its ledger would exceed the largest sum.

        `used - folded` is the sum of the ledger rows (see `move`). Reserved amounts count as used, so that each of them
        can be charged later.
        """
        more = held + used
        if more > 0 and self.used + self.reserved - min(0, self.folded) + more > LARGEST_SUM:
            raise InvalidRequest(
                f"Give less, or PUT reset_usage: true on the limit of rule {self.rule_id}: the sum of its "
                f"{self.metric} in this window would pass 2^62.",
                param=self.metric,
            )

    def move(self, held: int, used: int) -> None:
        """Add to the reserved and used amounts.

        If `used` would fall below 0, it becomes 0, and the difference is added to `folded`.
        """
        self.reserved += held
        after = self.used + used
        self.used = max(0, after)
        self.folded += self.used - after
        self.moved = True

    def stretch(self, end: int) -> None:
        """Change the end of the window. This is needed if the rules of its time zone change."""
        self.end, self.stretched = end, True


@dataclass(slots=True)
class PendingEntry:
    """A ledger row with changes that are not written yet: its held and used amounts.

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
