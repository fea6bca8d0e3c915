"""What a plan is made of: the rows that are stored, and what becomes of each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from governance.domain.differences import Difference
from governance.domain.keys import VirtualKey
from governance.domain.limits import Limit

LIMIT, KEY = "model_limit", "virtual_key"
"""The kinds of rows, by the words that the tombstones have for them."""


class Action(StrEnum):
    """What becomes of a row. A kept one may still come to remember the hash of its entry."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"


class HeldLimit(NamedTuple):
    """A stored limit, and the name of the file that made it ('' where none did)."""

    limit: Limit
    source: str


class HeldKey(NamedTuple):
    """A stored virtual key, the hash of its entry, and the name of the file that made it."""

    key: VirtualKey
    config_hash: str | None
    source: str


class Stored(NamedTuple):
    """All limits and virtual keys that are stored, and (entity, id) of those that were deleted."""

    limits: Mapping[str, HeldLimit]
    keys: Mapping[str, HeldKey]
    buried: frozenset[tuple[str, str]]


class Aim(NamedTuple):
    """For which file, beside what is stored, and when a plan is made."""

    source: str
    stored: Stored
    now: int


class Step(NamedTuple):
    """What becomes of one row. `before` and `after` also differ where only its hash does."""

    action: Action
    entity: str
    id: str
    title: str
    differences: tuple[Difference, ...]
    note: str | None
    before: HeldLimit | HeldKey | None
    after: HeldLimit | HeldKey | None

    @property
    def outline(self) -> tuple[object, ...]:
        """The part of the step that a person is shown."""
        return self[:6]


RETURNS = "returns: it was deleted, and the file still has it"
DRIFTED = "kept as it was edited: its entry in the file has not changed since"
STARTS_ANEW = "its usage starts anew: its id now stands for another model, provider or scope"
BOUND = "kept: limits that are not this file's are bound to it"


def returns(aim: Aim, entity: str, row_id: str) -> str | None:
    """The note on a new row that was there before."""
    return RETURNS if (entity, row_id) in aim.stored.buried else None


def remembers(source: str, aim: Aim) -> bool:
    """Whether a row that is kept remembers its entry's hash, so that later edits stay: not one another file made."""
    return source in ("", aim.source)
