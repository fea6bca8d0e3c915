"""What becomes of each limit. It is matched by its identity: usage belongs to what it was spent on.

A limit whose id stays while its identity changes is replaced; its usage starts anew.
"""

from collections.abc import Iterable, Iterator, Mapping

from governance.domain.differences import of_limits, title
from governance.domain.files import WantedLimit, limit_id
from governance.domain.limits import Limit, Scope
from governance.domain.merging import Setting, as_written, merged, new_limit
from governance.domain.names import Identity
from governance.domain.steps import (
    ADOPTED,
    DRIFTED,
    LIMIT,
    STARTS_ANEW,
    Action,
    Aim,
    HeldLimit,
    Step,
    is_ours,
    returns,
)

Matches = Mapping[str, HeldLimit]
"""The stored limit that an entry is about, by the entry's path."""


def matches(limits: Iterable[WantedLimit], stored: Mapping[str, HeldLimit]) -> Matches:
    """By identity; else by id, where no other entry is about the limit of that id."""
    entries = list(limits)
    by_identity = {_identity(held.limit): held for held in stored.values()}
    found = {entry.path: by_identity[entry.draft.identity] for entry in entries if entry.draft.identity in by_identity}
    claimed = {held.limit.id for held in found.values()}
    replaced = {e.path: stored[e.id] for e in entries if e.path not in found and e.id in stored and e.id not in claimed}
    return found | replaced


def steps(
    aim: Aim, limits: Iterable[WantedLimit], found: Matches, removed: set[str], flags: Mapping[str, bool]
) -> Iterator[Step]:
    """A step for each entry. `removed` are the limits that go, `flags` the calendar flags of virtual keys by id."""
    wanted = list(limits)
    going = {held.limit.id for entry in wanted if (held := found.get(entry.path)) and _replaces(entry, held)}
    staying = (held.limit for key, held in aim.stored.limits.items() if key not in removed | going)
    taken = {rule.id for limit in staying for rule in limit.rules}
    for entry in wanted:
        key = entry.draft.scope_id if entry.draft.scope == Scope.VIRTUAL_KEY else None
        setting = Setting(taken, flags.get(key or "", False), aim.now)
        step = _step(aim, entry, found.get(entry.path), setting)
        if isinstance(step.after, HeldLimit):
            taken |= {rule.id for rule in step.after.limit.rules}
        yield step


def removal(held: HeldLimit) -> Step:
    """The end of a limit that its file no longer has."""
    limit = held.limit
    return Step(Action.REMOVE, LIMIT, limit.id, title(limit), of_limits(limit, None), None, held, None)


def _step(aim: Aim, entry: WantedLimit, held: HeldLimit | None, setting: Setting) -> Step:
    if held is None:
        own_id = entry.id if entry.id not in aim.stored.limits else limit_id(entry.draft.identity)
        note = returns(aim, LIMIT, own_id)
        return _made(Action.CREATE, new_limit(entry, own_id, setting), None, aim, note)
    if _replaces(entry, held):
        return _made(Action.REPLACE, new_limit(entry, entry.id, setting), held, aim, STARTS_ANEW)
    return _moved(aim, entry, held, setting)


def _made(action: Action, limit: Limit, before: HeldLimit | None, aim: Aim, note: str | None) -> Step:
    after = HeldLimit(limit, aim.source)
    return Step(action, LIMIT, limit.id, title(limit), of_limits(None, limit), note, before, after)


def _moved(aim: Aim, entry: WantedLimit, held: HeldLimit, setting: Setting) -> Step:
    limit = merged(held.limit, entry, setting)
    differences = of_limits(held.limit, limit)
    name = title(limit)
    if differences:
        after = HeldLimit(limit, aim.source)
        return Step(Action.CHANGE, LIMIT, limit.id, name, differences, None, held, after)
    after = HeldLimit(limit, aim.source) if is_ours(held.source, aim) else held
    drifted = of_limits(held.limit, as_written(held.limit, entry, setting))
    note = DRIFTED if drifted else ADOPTED if after.source != held.source else None
    return Step(Action.KEEP, LIMIT, limit.id, name, drifted, note, held, after)


def _replaces(entry: WantedLimit, held: HeldLimit) -> bool:
    return entry.draft.identity != _identity(held.limit)


def _identity(limit: Limit) -> Identity:
    return Identity.of(limit.scope, limit.scope_id, limit.provider, limit.model_name)
