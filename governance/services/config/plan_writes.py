"""Writes the steps of a plan to the database. Each step creates, changes, replaces, removes or keeps one row.

The number of SQL statements does not depend on the number of steps.
"""

from collections.abc import Iterable
from typing import TypeVar

from governance.domain.config.plan_steps import Action, Step
from governance.domain.records.stored import Managed, ManagedKey, ManagedLimit, ManagedPrice, ManagedUser, Source
from governance.services.writing import Write
from governance.storage.keys.users import users
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import writes
from governance.storage.limits.writes import Edit
from governance.storage.pricing.price_overrides import price_overrides

HeldT = TypeVar("HeldT", ManagedLimit, ManagedKey, ManagedUser, ManagedPrice)


def carry_out(write: Write, source: Source, steps: Iterable[Step]) -> None:
    """Write the steps.

    Removals are written first, because a new row may have the same id or name as a removed row. A new limit may also be
    for the same scope, scope id, provider and model as a removed limit.
    """
    listed = list(steps)
    removed = [step.before for step in listed if step.action in (Action.REMOVE, Action.REPLACE)]
    new = [step.after for step in listed if step.action in (Action.CREATE, Action.REPLACE)]
    remaining = [step for step in listed if step.action in (Action.CHANGE, Action.KEEP)]
    after = [step.after for step in remaining]
    connection, now, revision = write
    writes.remove(connection, [row.limit.id for row in _of(ManagedLimit, removed)], revision)
    virtual_keys.remove_all(connection, [row.key.id for row in _of(ManagedKey, removed)], revision)
    users.remove_all(connection, [row.user.id for row in _of(ManagedUser, removed)], revision)
    price_overrides.remove_all(connection, [row.price.id for row in _of(ManagedPrice, removed)], revision)
    virtual_keys.replace_held(connection, _of(ManagedKey, after), revision)
    virtual_keys.add_held(connection, _of(ManagedKey, new), revision)
    users.replace_held(connection, _of(ManagedUser, after), revision)
    users.add_held(connection, _of(ManagedUser, new), revision)
    price_overrides.replace_held(connection, _of(ManagedPrice, after), revision)
    price_overrides.add_held(connection, _of(ManagedPrice, new), revision)
    writes.replace_all(connection, _edits(remaining), revision, now)
    writes.note_places(connection, _with_new_place(remaining))
    writes.add_all(connection, [row.limit for row in _of(ManagedLimit, new)], revision, source)


def _of(kind: type[HeldT], rows: Iterable[Managed | None]) -> list[HeldT]:
    return [row for row in rows if isinstance(row, kind)]


def _edits(steps: Iterable[Step]) -> list[Edit]:
    pairs = ((step.before, step.after) for step in steps)
    return [Edit(b.limit, a.limit) for b, a in pairs if isinstance(b, ManagedLimit) and isinstance(a, ManagedLimit)]


def _with_new_place(steps: Iterable[Step]) -> list[ManagedLimit]:
    """Return the limits whose file had no known path before these steps, and has a known path after them."""
    after = ((step.after, step.before) for step in steps if step.before is not None)
    return [row for row, before in after if isinstance(row, ManagedLimit) and row.source != before.source]
