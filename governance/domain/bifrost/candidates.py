"""The rows that an import from Bifrost may store (candidates), and the outcome of the import for each row.

Bifrost is an LLM gateway. The import reads its database. A budget or a rate limit is called an item here.
"""

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
    """The kind of a row in Bifrost's database."""

    VIRTUAL_KEY = "virtual_key"
    LIMIT = "model_config"
    BUDGET = "budget"
    RATE_LIMIT = "rate_limit"
    PRICE = "price"


class ImportOutcome(StrEnum):
    """What the import does with a row, best outcome first.

    A row is imported (`TAKEN`), or it is stored here already and stays unchanged (`KEPT`), or it is not imported
    (`LEFT_OUT`). A row that belongs to several limits is reported once, with its best outcome.
    """

    TAKEN = "taken"
    KEPT = "kept"
    LEFT_OUT = "left_out"


class ImportNote(NamedTuple):
    """A row of Bifrost's database, with its outcome.

    The remarks say why the row is left out, or how it differs in this service from Bifrost.
    """

    kind: CandidateKind
    id: str
    name: str
    remarks: tuple[str, ...] = ()
    outcome: ImportOutcome = ImportOutcome.TAKEN

    def left_out(self, *reasons: str) -> "ImportNote":
        """Return the note with the outcome "left out", and with the reasons as its remarks."""
        return self._replace(outcome=ImportOutcome.LEFT_OUT, remarks=reasons)

    def kept(self) -> "ImportNote":
        """Return the note with the outcome "kept", which says that the row is stored here already."""
        return self._replace(outcome=ImportOutcome.KEPT, remarks=())

    def saying(self, *remarks: str) -> "ImportNote":
        """Return the note with further remarks."""
        return self._replace(remarks=self.remarks + remarks)


class CandidateRule(NamedTuple):
    """One maximum to import.

    `ceiling` is the maximum and the length of its window. `began` is the start of the current window in microseconds,
    or None if Bifrost does not give it. `used` is the usage in the current window.
    """

    ceiling: RuleSpec
    began: int | None
    used: int


class CandidateItem(NamedTuple):
    """A budget (one part) or a rate limit (one or two parts) to import.

    If `rolling` is true, the windows follow the calendar here, but not in Bifrost.
    """

    note: ImportNote
    parts: tuple[CandidateRule, ...]
    config_hash: str | None
    created_at: int
    updated_at: int
    rolling: bool = False


class CandidateLimit(NamedTuple):
    """A limit to import. `items` contains its budgets and rate limits. `draft` contains only its other settings."""

    note: ImportNote
    draft: LimitDraft
    items: tuple[CandidateItem, ...]
    config_hash: str | None
    created_at: int
    updated_at: int

    @property
    def alignment(self) -> Alignment:
        """Whether the limit's windows follow the calendar, and in which time zone.

        They follow the calendar if the draft says so, and if at least one of the windows can follow it.
        """
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
    """The valid rows of Bifrost's database, the invalid rows (`left_out`), and the columns that are not read."""

    keys: list[CandidateKey]
    limits: list[CandidateLimit]
    prices: list[CandidatePrice]
    left_out: list[ImportNote]
    unread: tuple[UnreadColumn, ...] = ()


class ExistingIds(NamedTuple):
    """The ids of the rows that this service has stored.

    Each mapping finds the id of a row by a value that must be unique: the name of a virtual key (`names`), its digest
    (`digests`), the model, provider and scope of a limit (`identities`), or the model and start time of a price
    (`priced`).
    """

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
