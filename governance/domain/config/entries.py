"""The entries of a config file: first as read from the file, then with their references resolved (`Wanted`).

A path says where a value is in the file, for example `governance.model_configs[3].budgets[0]`. A budget or a rate limit
is called an item here.
"""

import uuid
from typing import Generic, NamedTuple, TypeVar

from governance.domain.limits.drafts import DraftItem, LimitDraft, RuleSpec
from governance.domain.names import Identity
from governance.domain.pricing.drafts import PriceDraft

NAMESPACE = uuid.UUID("6a8d2f0e-3f6b-5d0c-9f43-6c1c5b1f8e27")
"""The UUID namespace for the ids that are derived for entries without an id."""


class NamedOwner(NamedTuple):
    """The owner that a budget or rate limit names: a field, for example `virtual_key_id`, and the field's value."""

    field: str
    id: str


class LimitEntry(NamedTuple):
    """A model limit as read from the file.

    `draft` contains the items that are nested in the limit. The other items of the limit are separate entries, and the
    id fields contain their ids. `named_by` is the field and the value with which an item names this limit as its owner.
    An `implied` limit has no entry of its own: it is derived from the items of a virtual key or provider. An implied
    limit without items is dropped.
    """

    path: str
    id: str | None
    draft: LimitDraft
    budget_id: str | None
    budget_ids: tuple[str, ...]
    rate_limit_id: str | None
    rate_limit_ids: tuple[str, ...]
    named_by: NamedOwner | None = None
    implied: bool = False


class ItemEntry(NamedTuple):
    """A budget or rate limit that the file lists as a separate entry. It may name its owner."""

    path: str
    id: str
    item: DraftItem
    owner: NamedOwner | None


class Claim(NamedTuple):
    """A budget or rate limit (`kind`) of owners that do not exist in this service, for example teams (`owners`).

    If the owner contains only the id of the budget or rate limit, `item` is that id. If the whole budget or rate limit
    is nested in the owner, `item` is None.
    """

    path: str
    owners: str
    kind: str
    item: str | None


class WantedKey(NamedTuple):
    """A virtual key as the file describes it.

    If `digest`, `value_prefix` or `is_active` is None, the stored value of that field stays. `named` says whether the
    file gives the key's id. The secret value of the key is not here, only its digest and its first characters.
    """

    path: str
    id: str
    named: bool
    name: str
    description: str | None
    digest: str | None
    value_prefix: str | None
    is_active: bool | None
    calendar_aligned: bool
    expires_at: int | None
    config_hash: str


class WantedUser(NamedTuple):
    """A user as the file describes it."""

    path: str
    id: str
    name: str
    config_hash: str


class WantedPrice(NamedTuple):
    """A price override as the file describes it."""

    path: str
    id: str
    draft: PriceDraft
    config_hash: str


class WantedItem(NamedTuple):
    """A budget or rate limit of a `WantedLimit`."""

    id: str
    ceilings: tuple[RuleSpec, ...]
    config_hash: str

    @property
    def item(self) -> DraftItem:
        """The item without its id. So it is matched with a stored item only by its windows."""
        return DraftItem(None, self.ceilings)


class WantedLimit(NamedTuple):
    """A model limit with all its budgets and rate limits. `draft` contains the same budgets and rate limits."""

    path: str
    id: str
    identity: Identity
    draft: LimitDraft
    budgets: tuple[WantedItem, ...]
    rate_limits: tuple[WantedItem, ...]
    config_hash: str
    implied: bool

    @property
    def scope_path(self) -> str:
        """The path of the field that names the limit's virtual key or user."""
        return f"{self.path}.{'virtual_key_id' if self.implied else 'scope_id'}"

    @property
    def items(self) -> tuple[WantedItem, ...]:
        """The limit's budgets and rate limits, in the same order as in the draft."""
        return self.budgets + self.rate_limits


EntryT = TypeVar("EntryT", LimitEntry, ItemEntry, WantedKey, WantedUser, WantedPrice)


class Section(NamedTuple, Generic[EntryT]):
    """The valid entries of one kind, and the ids of both the valid and the invalid entries."""

    entries: list[EntryT]
    ids: set[str]


class Sections(NamedTuple):
    """All sections that the service reads, and the names of the sections that it skips.

    The docstring of `Wanted` describes `notes`, `unset` and `owner`.
    """

    limits: Section[LimitEntry]
    budgets: Section[ItemEntry]
    rate_limits: Section[ItemEntry]
    keys: Section[WantedKey]
    implied: list[LimitEntry]
    claims: list[Claim]
    users: Section[WantedUser]
    prices: Section[WantedPrice]
    skipped: list[str]
    notes: list[tuple[str, str]]
    unset: list[tuple[str, str]]
    owner: str | None = None


class Wanted(NamedTuple):
    """The contents of a file with all references resolved.

    `notes`, `left_out` and `unset` are (path, sentence) pairs. `notes` report values that the service changed.
    `left_out` lists the budgets and rate limits that belong to no limit here. `unset` lists the values whose
    environment variable is not set. A sync reports these values as faults, and a check reports them as warnings.
    `skipped` contains the names of skipped sections and fields. `owner` is the value of "owner" in the file.
    """

    limits: tuple[WantedLimit, ...]
    keys: tuple[WantedKey, ...]
    users: tuple[WantedUser, ...]
    prices: tuple[WantedPrice, ...]
    skipped: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    unset: tuple[tuple[str, str], ...]
    owner: str | None = None


def limit_id(identity: Identity) -> str:
    """Derive an id for a limit without an id in its file, from its scope, scope id, provider and model."""
    return _derived("limit", *identity)


def item_id(owner: str, item: DraftItem) -> str:
    """Derive an id for a budget or rate limit without an id in its file, from the id of its limit and its windows."""
    return _derived("item", owner, *(f"{metric} {length}" for metric, length in sorted(item.windows)))


def key_id(name: str) -> str:
    """Derive an id for a virtual key without an id in its file, from its name."""
    return _derived("virtual key", name)


def price_id(draft: PriceDraft) -> str:
    """Derive an id for a price override without an id in its file, from its model and start time."""
    provider, model, effective_from = draft.identity
    return _derived("price", provider, model, str(effective_from))


def _derived(*parts: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "\0".join(parts)))
