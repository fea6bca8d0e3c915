"""What a file asks for: its entries as they are written, and (`Wanted`) what they come to when references are resolved.

Paths name a place in the file, such as `governance.model_configs[3].budgets[0]`.
"""

import uuid
from typing import Generic, NamedTuple, TypeVar

from governance.domain.limits.edits import Ceiling, Draft, Item
from governance.domain.names import Identity

NAMESPACE = uuid.UUID("6a8d2f0e-3f6b-5d0c-9f43-6c1c5b1f8e27")
"""Ours, for the ids of what has none in its file."""


class Owner(NamedTuple):
    """Whom a budget or rate limit names as its owner: by which field, such as `virtual_key_id`, and by which id."""

    field: str
    id: str


class LimitEntry(NamedTuple):
    """A model limit as it is written: what stands inside it is in the draft, what it refers to is named by id.

    `named_by` is how a budget names it as its owner. One that is `implied` is the limit that a virtual key or provider
    stands for, and is none where it gets no budget and no rate limit.
    """

    path: str
    id: str | None
    draft: Draft
    budget_id: str | None
    budget_ids: tuple[str, ...]
    rate_limit_id: str | None
    rate_limit_ids: tuple[str, ...]
    named_by: Owner | None = None
    implied: bool = False


class ItemEntry(NamedTuple):
    """A budget or rate limit that stands by itself; it may name its owner."""

    path: str
    id: str
    item: Item
    owner: Owner | None


class Claim(NamedTuple):
    """A budget or rate limit (`kind`) of an owner of which there are none here (`owners`, such as teams).

    `item` is its id where the owner names it, None where it stands inside the owner.
    """

    path: str
    owners: str
    kind: str
    item: str | None


class WantedKey(NamedTuple):
    """A virtual key: None leaves what is stored, and `named` says whether the file gives its id.

    Of its value there is only what is kept of it.
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
    """A user: a name for an id."""

    path: str
    id: str
    name: str
    config_hash: str


class WantedItem(NamedTuple):
    """A budget or rate limit of a wanted limit."""

    id: str
    ceilings: tuple[Ceiling, ...]
    config_hash: str

    @property
    def item(self) -> Item:
        """The same as an item that stands for no stored one."""
        return Item(None, self.ceilings)


class WantedLimit(NamedTuple):
    """A model limit with all its budgets and rate limits; the draft has them too."""

    path: str
    id: str
    identity: Identity
    draft: Draft
    budgets: tuple[WantedItem, ...]
    rate_limits: tuple[WantedItem, ...]
    config_hash: str
    implied: bool

    @property
    def scope_path(self) -> str:
        """Where the file says which virtual key or user the limit is on."""
        return f"{self.path}.{'virtual_key_id' if self.implied else 'scope_id'}"

    @property
    def items(self) -> tuple[WantedItem, ...]:
        """Budgets and rate limits, in the draft's order."""
        return self.budgets + self.rate_limits


EntryT = TypeVar("EntryT", LimitEntry, ItemEntry, WantedKey, WantedUser)


class Section(NamedTuple, Generic[EntryT]):
    """The entries of a kind that are well formed, and the ids of all, also of those that are not."""

    entries: list[EntryT]
    ids: set[str]


class Sections(NamedTuple):
    """All that is ours in a file, and the names of what is not. `notes`, `unset` and `owner`: see Wanted."""

    limits: Section[LimitEntry]
    budgets: Section[ItemEntry]
    rate_limits: Section[ItemEntry]
    keys: Section[WantedKey]
    implied: list[LimitEntry]
    claims: list[Claim]
    users: Section[WantedUser]
    skipped: list[str]
    notes: list[tuple[str, str]]
    unset: list[tuple[str, str]]
    owner: str | None = None


class Wanted(NamedTuple):
    """What a file comes to. All but the names of what is skipped are paths, each with a sentence.

    `notes` are of what is taken, but not as the file says; `left_out` are the budgets and rate limits that hold for
    nobody here; `unset` are the values that the environment does not have: a fault only for who would store them.
    `owner` is the name that the file gives itself.
    """

    limits: tuple[WantedLimit, ...]
    keys: tuple[WantedKey, ...]
    users: tuple[WantedUser, ...]
    skipped: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    unset: tuple[tuple[str, str], ...]
    owner: str | None = None


def limit_id(identity: Identity) -> str:
    """The id of a limit that has none in its file: always the same for the same identity."""
    return _derived("limit", *identity)


def item_id(owner: str, item: Item) -> str:
    """The id of a budget or rate limit that has none in its file: always the same for its limit and windows."""
    return _derived("item", owner, *(f"{metric} {length}" for metric, length in sorted(item.windows)))


def key_id(name: str) -> str:
    """The id of a virtual key that has none in its file."""
    return _derived("virtual key", name)


def _derived(*parts: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "\0".join(parts)))
