"""The plan's steps for entries whose rows refer to no other rows: users and price overrides."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from governance.domain.config.plan_steps import Action, PlanContext, Step, edit_note, recreation_note, stores_hash
from governance.domain.records.differences import Difference


class EntryKind(NamedTuple):
    """Describes one kind of entry: its entity, the type of its stored rows, and two functions.

    One function returns the differences between two values. The other function returns the title of a value. A row is
    (value, config_hash, source). Each value has an id. None means that the row does not exist.
    """

    entity: str
    row: Callable[..., Any]
    differences: Callable[[Any, Any], Sequence[Difference]]
    title: Callable[[Any], str]


def removal(kind: EntryKind, row: Any) -> Step:
    """Return a removal step for a row that its file no longer contains."""
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
