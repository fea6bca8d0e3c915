"""The candidates of an import: the rows of another store, and the outcome of the import for each row."""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.bifrost.rows import UnreadColumn
from governance.domain.keys import VirtualKey
from governance.domain.limits.drafts import LimitDraft, RuleSpec
from governance.domain.limits.limit import Limit, Opening
from governance.domain.limits.windows import Alignment
from governance.domain.names import Identity
from governance.domain.pricing.overrides import PriceIdentity, PriceOverride


class CandidateKind(StrEnum):
    """The kind of a row in the other store."""

    VIRTUAL_KEY = "virtual_key"
    LIMIT = "model_config"
    BUDGET = "budget"
    RATE_LIMIT = "rate_limit"
    PRICE = "price"


class ImportOutcome(StrEnum):
    """What the import did with a row, best outcome first.

    A row that belongs to several limits is reported once, with its best outcome.
    """

    TAKEN = "taken"
    KEPT = "kept"
    LEFT_OUT = "left_out"


class ImportNote(NamedTuple):
    """A row of the other store with its outcome. The remarks say why the row is left out, or what differs here."""

    kind: CandidateKind
    id: str
    name: str
    remarks: tuple[str, ...] = ()
    outcome: ImportOutcome = ImportOutcome.TAKEN

    def left_out(self, *reasons: str) -> "ImportNote":
        """Return the note with the outcome "left out" and these reasons."""
        return self._replace(outcome=ImportOutcome.LEFT_OUT, remarks=reasons)

    def kept(self) -> "ImportNote":
        """Return the note with the outcome "kept": the same row is stored already."""
        return self._replace(outcome=ImportOutcome.KEPT, remarks=())

    def saying(self, *remarks: str) -> "ImportNote":
        """Return the note with further remarks."""
        return self._replace(remarks=self.remarks + remarks)


class CandidateRule(NamedTuple):
    """A rule to import: maximum, window, the start of its current window (microseconds), and its current usage."""

    ceiling: RuleSpec
    began: int | None
    used: int


class CandidateItem(NamedTuple):
    """A budget (one part) or a rate limit (one or two parts) to import.

    If `rolling` is true, the windows roll in Bifrost but follow the calendar here.
    """

    note: ImportNote
    parts: tuple[CandidateRule, ...]
    config_hash: str | None
    created_at: int
    updated_at: int
    rolling: bool = False


class CandidateLimit(NamedTuple):
    """A limit to import. `items` contains its budgets and rate limits. The draft contains none."""

    note: ImportNote
    draft: LimitDraft
    items: tuple[CandidateItem, ...]
    config_hash: str | None
    created_at: int
    updated_at: int

    @property
    def alignment(self) -> Alignment:
        """The alignment of the limit's windows. They follow the calendar only if at least one of them can."""
        durations = (part.ceiling.duration for item in self.items for part in item.parts)
        aligned = bool(self.draft.calendar_aligned) and any(duration.alignable for duration in durations)
        return Alignment(aligned, self.draft.timezone)


class CandidateKey(NamedTuple):
    """A virtual key to import."""

    note: ImportNote
    key: VirtualKey


class CandidatePrice(NamedTuple):
    """A price override to import."""

    note: ImportNote
    price: PriceOverride


class Candidates(NamedTuple):
    """The valid rows of another store, the invalid rows, and the columns that are not read."""

    keys: list[CandidateKey]
    limits: list[CandidateLimit]
    prices: list[CandidatePrice]
    left_out: list[ImportNote]
    unread: tuple[UnreadColumn, ...] = ()


class ExistingIds(NamedTuple):
    """The stored ids. The mappings find an id by each name, digest or identity that must be unique."""

    keys: set[str]
    names: dict[str, str]
    digests: dict[str, str]
    limits: set[str]
    identities: dict[Identity, str]
    items: set[str]
    prices: set[str]
    priced: dict[PriceIdentity, str]

    def copy(self) -> "ExistingIds":
        """Return a copy that the caller may change."""
        return ExistingIds(
            set(self.keys),
            dict(self.names),
            dict(self.digests),
            set(self.limits),
            dict(self.identities),
            set(self.items),
            set(self.prices),
            dict(self.priced),
        )


class ImportPlan(NamedTuple):
    """The rows to store, the outcome for each row, and the columns that are not read."""

    keys: list[VirtualKey]
    limits: list[Limit]
    openings: list[Opening]
    prices: list[PriceOverride]
    notes: list[ImportNote]
    unread: tuple[UnreadColumn, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether the plan contains rows to store."""
        return bool(self.keys or self.limits or self.prices)
