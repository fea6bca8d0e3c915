"""What a plan is made of: the rows that are stored, and what becomes of each."""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.records.differences import Difference
from governance.domain.records.stored import Held, Source, Stored


class Action(StrEnum):
    """What becomes of a row. A kept one may still come to remember the hash of its entry."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"


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
