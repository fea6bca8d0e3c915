"""The steps of a plan, and the context in which they are computed.

A step changes one stored row so that it matches its entry in the file.
"""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.records.differences import Difference
from governance.domain.records.stored import Managed, Source, StoredRows


class Action(StrEnum):
    """What a step does with its row. A row that is kept may still get a new hash."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"


class PlanContext(NamedTuple):
    """What a plan is computed from: the file, the stored rows and the time in microseconds.

    If `overwrite` is true, the values in the file replace edits made through the API.
    """

    source: Source
    stored: StoredRows
    now: int
    overwrite: bool = False

    def owns(self, source: Source) -> bool:
        """Return whether this file owns a row.

        The names must be equal. If both folders are known, they must be equal too.
        """
        if not self.source.name or source.name != self.source.name:
            return False
        return not self.source.placed or source.place in (self.source.place, None)

    def with_place(self, source: Source) -> Source:
        """Return the source to store with a row that is kept.

        If its `place` is not known, the source gets the `place` of the file.
        """
        known = source.place is not None or not self.source.placed
        return source if known or not self.owns(source) else self.source


class Step(NamedTuple):
    """The change of one row. `before` and `after` differ even if only the entry's hash changes."""

    action: Action
    entity: str
    id: str
    title: str
    differences: tuple[Difference, ...]
    note: str | None
    before: Managed | None
    after: Managed | None

    @property
    def outline(self) -> tuple[object, ...]:
        """The fields of the step that users see."""
        return self[:6]


RETURNS = "returns: it was deleted, and the file still has it"
DRIFTED = "kept as it was edited: its entry in the file has not changed since"
OVERWRITTEN = "it was edited since; the file wins"
STARTS_ANEW = "its usage starts anew: its id now stands for another model, provider or scope"
BOUND = "kept: limits that are not this file's are bound to it"


def edit_note(context: PlanContext) -> str:
    """Return the note about a row that was edited after its entry had been stored."""
    return OVERWRITTEN if context.overwrite else DRIFTED


def recreation_note(context: PlanContext, entity: str, row_id: str) -> str | None:
    """Return the note about a new row if a row with the same id was deleted before. Otherwise return None."""
    return RETURNS if (entity, row_id) in context.stored.deleted else None


def stores_hash(source: Source, context: PlanContext) -> bool:
    """Return whether a row that is kept gets the hash of its entry, so that later edits stay.

    A row of another file does not get it.
    """
    return source.name == "" or context.owns(source)
