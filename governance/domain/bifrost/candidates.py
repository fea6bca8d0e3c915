"""What moves in from another store: the rows that arrive, and what is decided of them."""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.bifrost.rows import Unread
from governance.domain.keys import VirtualKey
from governance.domain.limits.drafts import Ceiling, Draft
from governance.domain.limits.limit import Limit, Opening
from governance.domain.limits.windows import Alignment
from governance.domain.names import Identity


class Kind(StrEnum):
    """What a row was in the other store."""

    VIRTUAL_KEY = "virtual_key"
    LIMIT = "model_config"
    BUDGET = "budget"
    RATE_LIMIT = "rate_limit"


class Outcome(StrEnum):
    """What became of a row. In this order one that belongs to several limits is told by the first."""

    TAKEN = "taken"
    KEPT = "kept"
    LEFT_OUT = "left_out"


class Told(NamedTuple):
    """A row of the other store, what became of it, and what there is to say: why not, or what differs here."""

    kind: Kind
    id: str
    name: str
    remarks: tuple[str, ...] = ()
    outcome: Outcome = Outcome.TAKEN

    def left_out(self, *reasons: str) -> "Told":
        """The row, not taken for these reasons."""
        return self._replace(outcome=Outcome.LEFT_OUT, remarks=reasons)

    def kept(self) -> "Told":
        """The row, whose like is here already."""
        return self._replace(outcome=Outcome.KEPT, remarks=())

    def saying(self, *remarks: str) -> "Told":
        """The row with more to say."""
        return self._replace(remarks=self.remarks + remarks)


class Part(NamedTuple):
    """One ceiling that arrives, with what was used of it since its window began."""

    ceiling: Ceiling
    began: int | None
    used: int


class Item(NamedTuple):
    """A budget (one part) or a rate limit (one or two) that arrives.

    `rolling`: its windows rolled where it comes from, though its limit follows the calendar here.
    """

    told: Told
    parts: tuple[Part, ...]
    config_hash: str | None
    created_at: int
    updated_at: int
    rolling: bool = False


class Arrival(NamedTuple):
    """A limit that arrives; its draft has no items of its own."""

    told: Told
    draft: Draft
    items: tuple[Item, ...]
    config_hash: str | None
    created_at: int
    updated_at: int

    @property
    def alignment(self) -> Alignment:
        """How its windows will lie: on the calendar only where any of them can."""
        durations = (part.ceiling.duration for item in self.items for part in item.parts)
        aligned = bool(self.draft.calendar_aligned) and any(duration.alignable for duration in durations)
        return Alignment(aligned, self.draft.timezone)


class ArrivingKey(NamedTuple):
    """A virtual key that arrives."""

    told: Told
    key: VirtualKey


class Arrivals(NamedTuple):
    """All that could be read of another store, the rows that could not, and what in it is not read."""

    keys: list[ArrivingKey]
    limits: list[Arrival]
    left_out: list[Told]
    unread: tuple[Unread, ...] = ()


class Stored(NamedTuple):
    """What is here already, by all that a newcomer could equal: each set or mapping leads to ids."""

    keys: set[str]
    names: dict[str, str]
    digests: dict[str, str]
    limits: set[str]
    identities: dict[Identity, str]
    items: set[str]

    def copy(self) -> "Stored":
        """The same, to be added to."""
        return Stored(
            set(self.keys),
            dict(self.names),
            dict(self.digests),
            set(self.limits),
            dict(self.identities),
            set(self.items),
        )


class Decision(NamedTuple):
    """What shall be stored, what became of each row, and what is not read."""

    keys: list[VirtualKey]
    limits: list[Limit]
    openings: list[Opening]
    told: list[Told]
    unread: tuple[Unread, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.keys or self.limits)
