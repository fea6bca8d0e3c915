"""Counters and reservations as they will be when their unit of work is written."""

from dataclasses import dataclass, field

from governance.domain.errors import InvalidRequest
from governance.domain.limits.limit import Counter
from governance.domain.metering.reservation import Reservation
from governance.storage.tables import LARGEST_SUM

CounterKey = tuple[str, str, int]
"""(rule's id, metric, generation)."""


@dataclass(slots=True)
class PendingCounter:
    """A counter under way: what it will be when the batch is written; without an id until it is stored."""

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

    @property
    def key(self) -> CounterKey:
        """The rule that it counts for."""
        return self.rule_id, self.metric, self.generation

    @property
    def counter(self) -> Counter:
        """The counter as a value."""
        return Counter(self.start, self.end, self.used, self.reserved)

    def refuse_beyond(self, held: int, used: int) -> None:
        """Raise InvalidRequest where the counter or the sum of its ledger would pass the largest sum.

        `used - folded` is the sum of the ledger. What is reserved counts as used, so that each hold can be charged.
        """
        more = held + used
        if more > 0 and self.used + self.reserved - min(0, self.folded) + more > LARGEST_SUM:
            raise InvalidRequest(
                f"Give less, or PUT reset_usage: true on the limit of rule {self.rule_id}: the sum of its "
                f"{self.metric} in this window would pass 2^62.",
                param=self.metric,
            )

    def move(self, held: int, used: int) -> None:
        """Add to what is reserved and used. Where less was used than is taken back, `folded` keeps the difference."""
        self.reserved += held
        after = self.used + used
        self.used = max(0, after)
        self.folded += self.used - after
        self.moved = True

    def stretch(self, end: int) -> None:
        """Let the window last until another end: the rules of its time zone have changed."""
        self.end, self.stretched = end, True


@dataclass(slots=True)
class PendingEntry:
    """A ledger row under way: what a reservation holds and used of a counter; `counter` is None where it is gone."""

    counter_id: int
    held: int
    used: int
    counter: PendingCounter | None = None


@dataclass(slots=True)
class PendingReservation:
    """A stored reservation under way, with its ledger rows."""

    seq: int
    reservation: Reservation
    entries: list[PendingEntry] = field(default_factory=list)
    changed: bool = False
