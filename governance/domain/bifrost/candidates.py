"""The candidates of an import: rows of another store, and the outcome for each."""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.bifrost.rows import Unread
from governance.domain.keys import VirtualKey
from governance.domain.limits.drafts import Ceiling, Draft
from governance.domain.limits.limit import Limit, Opening
from governance.domain.limits.windows import Alignment
from governance.domain.names import Identity


class Kind(StrEnum):
    """The kind of a row in the other store."""

    VIRTUAL_KEY = "virtual_key"
    LIMIT = "model_config"
    BUDGET = "budget"
    RATE_LIMIT = "rate_limit"


class Outcome(StrEnum):
    """The outcome for a row, best first: a row that belongs to several limits is reported with the best of them."""

    TAKEN = "taken"
    KEPT = "kept"
    LEFT_OUT = "left_out"


class Told(NamedTuple):
    """A row of the other store with its outcome. The remarks say why it is left out, or what differs here."""

    kind: Kind
    id: str
    name: str
    remarks: tuple[str, ...] = ()
    outcome: Outcome = Outcome.TAKEN

    def left_out(self, *reasons: str) -> "Told":
        """Return the row as left out for these reasons."""
        return self._replace(outcome=Outcome.LEFT_OUT, remarks=reasons)

    def kept(self) -> "Told":
        """Return the row as kept: the same one is stored already."""
        return self._replace(outcome=Outcome.KEPT, remarks=())

    def saying(self, *remarks: str) -> "Told":
        """Return the row with more remarks."""
        return self._replace(remarks=self.remarks + remarks)


class Part(NamedTuple):
    """A rule to import: its maximum and window, when the window began (microseconds) and what was used in it."""

    ceiling: Ceiling
    began: int | None
    used: int


class Item(NamedTuple):
    """A budget (one part) or a rate limit (one or two parts) to import.

    `rolling`: its windows roll in Bifrost, and follow the calendar here.
    """

    note: Told
    parts: tuple[Part, ...]
    config_hash: str | None
    created_at: int
    updated_at: int
    rolling: bool = False


class Arrival(NamedTuple):
    """A limit to import; its draft has no items, they are in `items`."""

    note: Told
    draft: Draft
    items: tuple[Item, ...]
    config_hash: str | None
    created_at: int
    updated_at: int

    @property
    def alignment(self) -> Alignment:
        """The alignment of its windows: to the calendar only if any of them can be aligned."""
        durations = (part.ceiling.duration for item in self.items for part in item.parts)
        aligned = bool(self.draft.calendar_aligned) and any(duration.alignable for duration in durations)
        return Alignment(aligned, self.draft.timezone)


class ArrivingKey(NamedTuple):
    """A virtual key to import."""

    note: Told
    key: VirtualKey


class Arrivals(NamedTuple):
    """The valid rows of another store, the rows left out as invalid, and the columns that are not read."""

    keys: list[ArrivingKey]
    limits: list[Arrival]
    left_out: list[Told]
    unread: tuple[Unread, ...] = ()


class Stored(NamedTuple):
    """What is stored already: ids, and the ids by the names, digests and identities that must be unique."""

    keys: set[str]
    names: dict[str, str]
    digests: dict[str, str]
    limits: set[str]
    identities: dict[Identity, str]
    items: set[str]

    def copy(self) -> "Stored":
        """Return a copy that may be added to."""
        return Stored(
            set(self.keys),
            dict(self.names),
            dict(self.digests),
            set(self.limits),
            dict(self.identities),
            set(self.items),
        )


class Decision(NamedTuple):
    """The rows to store, the outcome for each row, and the columns that are not read."""

    keys: list[VirtualKey]
    limits: list[Limit]
    openings: list[Opening]
    notes: list[Told]
    unread: tuple[Unread, ...] = ()

    @property
    def changes(self) -> bool:
        """Return whether there is anything to store."""
        return bool(self.keys or self.limits)
