"""What a batch has under way: counters and reservations as they will be when it is written."""

from dataclasses import dataclass, field

from governance.domain.limits import Counter
from governance.domain.reservations import Reservation
from governance.storage.tables import LARGEST_SUM

RuleKey = tuple[str, str, int]
"""(rule's id, metric, generation)."""


@dataclass(slots=True)
class Tally:
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

    @property
    def key(self) -> RuleKey:
        """The rule that it counts for."""
        return self.rule_id, self.metric, self.generation

    @property
    def counter(self) -> Counter:
        """The counter as a value."""
        return Counter(self.start, self.end, self.used, self.reserved)

    def move(self, held: int, used: int) -> None:
        """Add to what is reserved and used; beyond what a counter can hold, `folded` keeps the difference."""
        self.reserved += held
        after, most = self.used + used, LARGEST_SUM - self.reserved
        self.used = most if after > most else max(0, after)
        self.folded += self.used - after
        self.moved = True


@dataclass(slots=True)
class Entry:
    """A ledger row under way: what one reservation holds and used of one counter; `tally` is None where it is gone."""

    counter_id: int
    held: int
    used: int
    tally: Tally | None = None


@dataclass(slots=True)
class Hold:
    """A stored reservation under way, with its ledger rows."""

    seq: int
    reservation: Reservation
    entries: list[Entry] = field(default_factory=list)
    changed: bool = False
