"""What becomes of each limit. It is matched by its identity: usage belongs to what it was spent on.

A limit whose id stays while its identity changes is replaced; its usage starts anew.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from governance.domain.config.entries import WantedLimit, limit_id
from governance.domain.config.merging import Setting, as_written, merged, new_limit
from governance.domain.config.steps import STARTS_ANEW, Action, Aim, Step, edit_note, remembers, returns
from governance.domain.errors import InvalidRequest
from governance.domain.limits.limit import Limit, Scope
from governance.domain.records.differences import of_limits, title
from governance.domain.records.stored import LIMIT, HeldLimit


class Match(NamedTuple):
    """The stored limit that an entry is about. `replaced`: by its id alone."""

    held: HeldLimit
    replaced: bool = False


Matches = Mapping[str, Match]
"""By the path of the entry."""


def matches(limits: Iterable[WantedLimit], stored: Mapping[str, HeldLimit]) -> Matches:
    """By identity; else by id, where no other entry is about the limit of that id."""
    entries = list(limits)
    by_identity = {held.limit.identity: held for held in stored.values()}
    same = {entry.path: Match(by_identity[entry.identity]) for entry in entries if entry.identity in by_identity}
    claimed = {match.held.limit.id for match in same.values()}
    free = stored.keys() - claimed
    others = (entry for entry in entries if entry.path not in same and entry.id in free)
    return same | {entry.path: Match(stored[entry.id], replaced=True) for entry in others}


def steps(
    aim: Aim, limits: Iterable[WantedLimit], found: Matches, removed: set[str], flags: Mapping[str, bool]
) -> Iterator[Step]:
    """A step for each entry. `removed` are the limits that go, `flags` the calendar flags of virtual keys by id."""
    wanted = list(limits)
    going = {match.held.limit.id for match in found.values() if match.replaced}
    staying = (held.limit for key, held in aim.stored.limits.items() if key not in removed | going)
    taken = {rule.id for limit in staying for rule in limit.rules}
    for entry in wanted:
        key = entry.draft.scope_id if entry.draft.scope == Scope.VIRTUAL_KEY else None
        setting = Setting(taken, flags.get(key or "", False), aim.now)
        step = _located_step(aim, entry, found.get(entry.path), setting)
        if isinstance(step.after, HeldLimit):
            taken |= {rule.id for rule in step.after.limit.rules}
        yield step


def removal(held: HeldLimit) -> Step:
    """The end of a limit that its file no longer has."""
    limit = held.limit
    return Step(Action.REMOVE, LIMIT, limit.id, title(limit), of_limits(limit, None), None, held, None)


def _located_step(aim: Aim, entry: WantedLimit, match: Match | None, setting: Setting) -> Step:
    """The step of an entry. Raises InvalidRequest with the entry's place, where its virtual key decides against it."""
    try:
        return _step(aim, entry, match, setting)
    except InvalidRequest as error:
        faults = [fault._replace(param=f"{entry.path}.{fault.param}") for fault in error.faults]
        raise InvalidRequest.of(faults) from error


def _step(aim: Aim, entry: WantedLimit, match: Match | None, setting: Setting) -> Step:
    if match is None:
        own_id = entry.id if entry.id not in aim.stored.limits else limit_id(entry.identity)
        note = returns(aim, LIMIT, own_id)
        return _made(Action.CREATE, new_limit(entry, own_id, setting), None, aim, note)
    if match.replaced:
        return _made(Action.REPLACE, new_limit(entry, entry.id, setting), match.held, aim, STARTS_ANEW)
    return _moved(aim, entry, match.held, setting)


def _made(action: Action, limit: Limit, before: HeldLimit | None, aim: Aim, note: str | None) -> Step:
    after = HeldLimit(limit, aim.source)
    return Step(action, LIMIT, limit.id, title(limit), of_limits(None, limit), note, before, after)


def _moved(aim: Aim, entry: WantedLimit, held: HeldLimit, setting: Setting) -> Step:
    kept = merged(held.limit, entry, setting)
    limit = as_written(held.limit, entry, setting) if aim.overwrite else kept
    differences = of_limits(held.limit, limit)
    name, after = title(limit), HeldLimit(limit, aim.kept(held.source))
    if differences:
        note = edit_note(aim) if aim.overwrite and of_limits(kept, limit) else None
        return Step(Action.CHANGE, LIMIT, limit.id, name, differences, note, held, after)
    edited = held.limit.version > 1 and not aim.overwrite
    drifted = of_limits(held.limit, as_written(held.limit, entry, setting)) if edited else ()
    known = after if remembers(held.source, aim) else held
    return Step(Action.KEEP, LIMIT, limit.id, name, drifted, edit_note(aim) if drifted else None, held, known)
