"""Computes the steps of a sync for limits.

A sync changes the stored rows so that they match the entries of a config file. A step is the change of one row. The
identity of a limit consists of its scope, scope id, provider and model. An entry matches the stored limit with the same
identity, so usage stays with its model and scope. If an entry has the id of a stored limit but another identity, the
entry replaces that limit, and the usage starts at 0.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from governance.domain.config.entries import WantedLimit, limit_id
from governance.domain.config.merging import MergeContext, as_written, merged, new_limit
from governance.domain.config.plan_steps import (
    STARTS_ANEW,
    Action,
    PlanContext,
    Step,
    edit_note,
    recreation_note,
    stores_hash,
)
from governance.domain.errors import InvalidRequest
from governance.domain.limits.limit import Limit, Scope
from governance.domain.records.differences import of_limits, title
from governance.domain.records.stored import LIMIT, ManagedLimit


class LimitMatch(NamedTuple):
    """The stored limit that an entry matches. `replaced` is true if their ids are equal but their identities differ."""

    row: ManagedLimit
    replaced: bool = False


Matches = Mapping[str, LimitMatch]
"""The matches, by the path of the entry in the file."""


def matches(limits: Iterable[WantedLimit], stored: Mapping[str, ManagedLimit]) -> Matches:
    """Match entries to stored limits by identity. Then match the remaining entries to the remaining limits by id."""
    entries = list(limits)
    by_identity = {row.limit.identity: row for row in stored.values()}
    same = {entry.path: LimitMatch(by_identity[entry.identity]) for entry in entries if entry.identity in by_identity}
    claimed = {match.row.limit.id for match in same.values()}
    free = stored.keys() - claimed
    others = (entry for entry in entries if entry.path not in same and entry.id in free)
    return same | {entry.path: LimitMatch(stored[entry.id], replaced=True) for entry in others}


def steps(
    context: PlanContext, limits: Iterable[WantedLimit], matched: Matches, removed: set[str], flags: Mapping[str, bool]
) -> Iterator[Step]:
    """Yield a step for each entry.

    `removed` contains the ids of the limits that will be removed. `flags` contains `calendar_aligned` of each virtual
    key (whether windows follow the calendar), by key id.
    """
    wanted = list(limits)
    replaced = {match.row.limit.id for match in matched.values() if match.replaced}
    staying = (row.limit for key, row in context.stored.limits.items() if key not in removed | replaced)
    taken = {rule.id for limit in staying for rule in limit.rules}
    for entry in wanted:
        key = entry.draft.scope_id if entry.draft.scope == Scope.VIRTUAL_KEY else None
        setting = MergeContext(taken, flags.get(key or "", False), context.now)
        step = _located_step(context, entry, matched.get(entry.path), setting)
        if isinstance(step.after, ManagedLimit):
            taken |= {rule.id for rule in step.after.limit.rules}
        yield step


def removal(row: ManagedLimit) -> Step:
    """Return the step that removes a limit whose entry is no longer in its file."""
    limit = row.limit
    return Step(Action.REMOVE, LIMIT, limit.id, title(limit), of_limits(limit, None), None, row, None)


def _located_step(context: PlanContext, entry: WantedLimit, match: LimitMatch | None, setting: MergeContext) -> Step:
    """Return the step for an entry.

    Raises InvalidRequest with the entry's path if the limit would be invalid. Whether a limit is valid can depend on
    `calendar_aligned` of its virtual key.
    """
    try:
        return _step(context, entry, match, setting)
    except InvalidRequest as error:
        faults = [fault._replace(param=f"{entry.path}.{fault.param}") for fault in error.faults]
        raise InvalidRequest.of(faults) from error


def _step(context: PlanContext, entry: WantedLimit, match: LimitMatch | None, setting: MergeContext) -> Step:
    if match is None:
        own_id = entry.id if entry.id not in context.stored.limits else limit_id(entry.identity)
        note = recreation_note(context, LIMIT, own_id)
        return _new_step(Action.CREATE, new_limit(entry, own_id, setting), None, context, note)
    if match.replaced:
        return _new_step(Action.REPLACE, new_limit(entry, entry.id, setting), match.row, context, STARTS_ANEW)
    return _edit_step(context, entry, match.row, setting)


def _new_step(
    action: Action, limit: Limit, before: ManagedLimit | None, context: PlanContext, note: str | None
) -> Step:
    after = ManagedLimit(limit, context.source)
    return Step(action, LIMIT, limit.id, title(limit), of_limits(None, limit), note, before, after)


def _edit_step(context: PlanContext, entry: WantedLimit, row: ManagedLimit, setting: MergeContext) -> Step:
    kept = merged(row.limit, entry, setting)
    limit = as_written(row.limit, entry, setting) if context.overwrite else kept
    differences = of_limits(row.limit, limit)
    name, after = title(limit), ManagedLimit(limit, context.with_place(row.source))
    if differences:
        note = edit_note(context) if context.overwrite and of_limits(kept, limit) else None
        return Step(Action.CHANGE, LIMIT, limit.id, name, differences, note, row, after)
    edited = row.limit.version > 1 and not context.overwrite
    drifted = of_limits(row.limit, as_written(row.limit, entry, setting)) if edited else ()
    known = after if stores_hash(row.source, context) else row
    return Step(Action.KEEP, LIMIT, limit.id, name, drifted, edit_note(context) if drifted else None, row, known)
