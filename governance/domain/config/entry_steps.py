"""Computes the steps of a sync for users and price overrides, whose rows refer to no other rows.

A sync changes the stored rows so that they match the entries of a config file. A step is the change of one row.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from governance.domain.config.plan_steps import Action, PlanContext, Step, edit_note, recreation_note, stores_hash
from governance.domain.records.differences import Difference


class EntryKind(NamedTuple):
    """Describes one kind of entry, for example users.

    `entity` is the name of the kind. `row` is the type of its stored rows: (value, config_hash, source). Each value has
    an id. The source is the file that created the row. `differences` returns the differences between two values. A
    value is None if its row does not exist. `title` returns the text that names a value to users.
    """

    entity: str
    row: Callable[..., Any]
    differences: Callable[[Any, Any], Sequence[Difference]]
    title: Callable[[Any], str]


def removal(kind: EntryKind, row: Any) -> Step:
    """Return the step that removes a row whose entry is no longer in its file."""
    value = row[0]
    differences = tuple(kind.differences(value, None))
    return Step(Action.REMOVE, kind.entity, value.id, kind.title(value), differences, None, row, None)


def step(kind: EntryKind, context: PlanContext, config_hash: str, row: Any, value: Any) -> Step:
    """Return the step for an entry.

    `row` is the stored row, or None. `value` is the value of the row after the step.
    """
    if row is None:
        after = kind.row(value, config_hash, context.source)
        note = recreation_note(context, kind.entity, value.id)
        differences = tuple(kind.differences(None, value))
        return Step(Action.CREATE, kind.entity, value.id, kind.title(value), differences, note, None, after)
    stored, same = row[0], row.config_hash == config_hash
    differences = tuple(kind.differences(stored, value))
    note = edit_note(context) if differences and same else None
    known = row._replace(config_hash=config_hash, source=context.with_place(row.source))
    if differences and (context.overwrite or not same):
        after = kind.row(value, *known[1:])
        return Step(Action.CHANGE, kind.entity, value.id, kind.title(value), differences, note, row, after)
    kept = known if stores_hash(row.source, context) else row
    return Step(Action.KEEP, kind.entity, stored.id, kind.title(stored), differences, note, row, kept)
