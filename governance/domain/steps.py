"""What a plan is made of: the rows that are stored, and what becomes of each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from governance.domain.differences import Difference
from governance.domain.keys import User, VirtualKey
from governance.domain.limits import Limit

LIMIT, KEY, USER = "model_limit", "virtual_key", "user"
"""The kinds of rows, by the words that the tombstones have for them."""


class Action(StrEnum):
    """What becomes of a row. A kept one may still come to remember the hash of its entry."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"


class Source(NamedTuple):
    """What a row remembers of the file that made it: the name of its owner, and the folder and name of the file.

    The name is '' where no file did. The place is '' where the owner was given by name, and None where it is not known.
    """

    name: str = ""
    place: str | None = None

    @property
    def placed(self) -> bool:
        """Whether the name is a file's base name: another file, in another place, may have the same."""
        return bool(self.name and self.place)


NO_FILE = Source()
"""What rows remember that the API or an import made."""


class HeldLimit(NamedTuple):
    """A stored limit, and the file that made it."""

    limit: Limit
    source: Source


class HeldKey(NamedTuple):
    """A stored virtual key, the hash of its entry, and the file that made it."""

    key: VirtualKey
    config_hash: str | None
    source: Source


class HeldUser(NamedTuple):
    """A stored user, the hash of its entry, and the file that made it."""

    user: User
    config_hash: str | None
    source: Source


Held = HeldLimit | HeldKey | HeldUser


class Stored(NamedTuple):
    """All that is stored, by id, and (entity, id) of what was deleted."""

    limits: Mapping[str, HeldLimit]
    keys: Mapping[str, HeldKey]
    users: Mapping[str, HeldUser]
    buried: frozenset[tuple[str, str]] = frozenset()

    @property
    def rows(self) -> tuple[Held, ...]:
        """All rows, whatever they are."""
        return (*self.limits.values(), *self.keys.values(), *self.users.values())


class Aim(NamedTuple):
    """For which file, beside what is stored, and when a plan is made; `overwrite`: edits by API give way to it."""

    source: Source
    stored: Stored
    now: int
    overwrite: bool = False

    def owns(self, source: Source) -> bool:
        """Whether a row is this file's, as far as is known: a place that is not known may be another file's."""
        if not self.source.name or source.name != self.source.name:
            return False
        return not self.source.placed or source.place in (self.source.place, None)

    def kept(self, source: Source) -> Source:
        """What a row of this file remembers when it is kept: the place of the file, where it was not known."""
        known = source.place is not None or not self.source.placed
        return source if known or not self.owns(source) else self.source


class Step(NamedTuple):
    """What becomes of one row. `before` and `after` also differ where only its hash does."""

    action: Action
    entity: str
    id: str
    title: str
    differences: tuple[Difference, ...]
    note: str | None
    before: Held | None
    after: Held | None

    @property
    def outline(self) -> tuple[object, ...]:
        """The part of the step that a person is shown."""
        return self[:6]


RETURNS = "returns: it was deleted, and the file still has it"
DRIFTED = "kept as it was edited: its entry in the file has not changed since"
OVERWRITTEN = "it was edited since; the file wins"
STARTS_ANEW = "its usage starts anew: its id now stands for another model, provider or scope"
BOUND = "kept: limits that are not this file's are bound to it"


def edit_note(aim: Aim) -> str:
    """The note on a row that was edited since its entry was written."""
    return OVERWRITTEN if aim.overwrite else DRIFTED


def returns(aim: Aim, entity: str, row_id: str) -> str | None:
    """The note on a new row that was there before."""
    return RETURNS if (entity, row_id) in aim.stored.buried else None


def remembers(source: Source, aim: Aim) -> bool:
    """Whether a row that is kept remembers its entry's hash, so that later edits stay: not one another file made."""
    return source.name == "" or aim.owns(source)
