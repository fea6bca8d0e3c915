"""The steps of a sync, and the values from which they are computed.

A sync changes the stored rows so that they match the entries of a config file. A step is the change of one row. With
each row, the service stores the hash of its entry, and the file that created the row (its source).
"""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.records.differences import Difference
from governance.domain.records.stored import Managed, Source, StoredRows


class Action(StrEnum):
    """What a step does with its row. Even `KEEP` may store a new hash with the row."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"


class PlanContext(NamedTuple):
    """The values from which the steps are computed: the file (`source`), the stored rows, and the time in microseconds.

    If `overwrite` is true, the values in the file replace edits made through the API.
    """

    source: Source
    stored: StoredRows
    now: int
    overwrite: bool = False

    def owns(self, source: Source) -> bool:
        """Return whether this file owns the rows with the given source.

        The owner names must be equal. If the file's owner name is only the name of the file without its folder, the
        rows must also come from the same path (`place`), or from an unknown path.
        """
        if not self.source.name or source.name != self.source.name:
            return False
        return not self.source.placed or source.place in (self.source.place, None)

    def with_place(self, source: Source) -> Source:
        """Return the source to store with a row that is kept. `source` is the row's stored source.

        If this file owns the row, and the path (`place`) is not known, the source gets the path of the file.
        """
        known = source.place is not None or not self.source.placed
        return source if known or not self.owns(source) else self.source


class Step(NamedTuple):
    """The change of one row.

    `before` and `after` are the row before and after the step. They also differ if only the hash of the entry changes.
    """

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
    """Return the note about a row that was edited through the API after its entry had been stored."""
    return OVERWRITTEN if context.overwrite else DRIFTED


def recreation_note(context: PlanContext, entity: str, row_id: str) -> str | None:
    """Return the note about a new row if a row with the same id was deleted before. Otherwise return None."""
    return RETURNS if (entity, row_id) in context.stored.deleted else None


def stores_hash(source: Source, context: PlanContext) -> bool:
    """Return whether to store the hash of the entry with a row that is kept.

    With this hash, later syncs keep edits made through the API. A row of another file does not get the hash.
    """
    return source.name == "" or context.owns(source)
