"""Formats the plan of a sync as lines similar to a diff.

A sync applies a config file to the database. Each step of its plan says what happens to one stored row.
"""

from collections.abc import Iterator

from governance.domain.config.plan import Plan
from governance.domain.config.plan_steps import Action
from governance.domain.records.differences import Difference

SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.REPLACE: "±", Action.REMOVE: "-", Action.KEEP: "="}


def lines(plan: Plan) -> Iterator[str]:
    """Yield a line for each step that has a change or a note, and a line for each of its differences.

    Then yield a line with the number of steps by action. If the file no longer contains rows that it created, and
    the plan does not remove them, also yield a line with their number.
    """
    for step in plan.steps:
        if step.action != Action.KEEP or step.note:
            note = f" ({step.note})" if step.note else ""
            yield f"{SIGNS[step.action]} {step.action} {step.title} [{step.id}]{note}"
            shown = _kept_difference if step.action == Action.KEEP else _difference
            yield from (f"    {shown(each)}" for each in step.differences)
    counts = ", ".join(f"{number} to {action}" for action, number in plan.counts.items())
    yield f"Plan: {counts or 'nothing to do'}."
    if plan.gone:
        yield f"Made by this file and no longer in it: {plan.gone}. --prune removes them."


def _difference(difference: Difference) -> str:
    what, old, new = difference
    if old is None or new is None:
        return f"{what}: {new if old is None else f'{old} → none'}"
    return f"{what}: {old} → {new}"


def _kept_difference(difference: Difference) -> str:
    """Return the text for a stored value that stays as it is, although the file contains another value."""
    what, stored, written = difference
    return f"{what}: kept {stored or 'none'}, the file says {written or 'none'}"
