"""What a sync would do: from what a file asks for and what is stored to a list of steps. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from governance.domain.config import key_steps, limit_steps, ownership, user_steps
from governance.domain.config.entries import Wanted
from governance.domain.config.steps import Action, Aim, Step
from governance.domain.errors import Fault
from governance.domain.limits.limit import Limit, Scope
from governance.domain.records.stored import HeldKey, HeldLimit, Stored


class Plan(NamedTuple):
    """Virtual keys first, then users, then limits, each in the order of the file, then what goes.

    `gone` counts the rows of this file that it no longer has, where they are not pruned.
    """

    steps: tuple[Step, ...]
    gone: int

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change what is enforced."""
        return tuple(step for step in self.steps if step.action != Action.KEEP)

    @property
    def writes(self) -> tuple[Step, ...]:
        """The steps that write anything, if only the hash of an entry."""
        return tuple(step for step in self.steps if step.before != step.after)

    @property
    def counts(self) -> dict[Action, int]:
        """How many rows there are of each action that there is."""
        found = Counter(step.action for step in self.steps)
        return {action: found[action] for action in Action if found[action]}

    @property
    def outline(self) -> tuple[object, ...]:
        """What a person was shown."""
        return tuple(step.outline for step in self.steps)


def plan(aim: Aim, wanted: Wanted, *, prune: bool) -> tuple[Plan, list[Fault]]:
    """The steps to what a file asks for; and what is wrong with it beside what is stored."""
    stored, keys, users = aim.stored, key_steps.steps(aim, wanted.keys), list(user_steps.steps(aim, wanted.users))
    found = limit_steps.matches(wanted.limits, stored.limits)
    matched = {match.held.limit.id for match in found.values()}
    missing = ownership.without(stored, matched, {step.id for step in keys}, {step.id for step in users})
    gone = ownership.owned(aim, missing)
    flags = _flags(stored.keys.values(), keys)
    removed = set(gone.limits) if prune else set()
    limits = list(limit_steps.steps(aim, wanted.limits, found, removed, flags))
    faults = [*key_steps.clashes(wanted.keys, keys, stored.keys), *_keyless(wanted, flags)]
    if not prune:
        return Plan((*keys, *users, *limits), len(gone.rows)), faults
    bound = {
        limit.scope_id or "" for limit in _staying(stored.limits, removed, limits) if limit.scope == Scope.VIRTUAL_KEY
    }
    faults += ownership.elsewhere(aim, missing)
    return Plan((*keys, *users, *limits, *_ends(gone, bound)), 0), faults


def _ends(gone: Stored, bound: set[str]) -> Iterator[Step]:
    """The end of each row that is gone from the file; `bound` are the virtual keys to which limits stay bound."""
    yield from map(limit_steps.removal, gone.limits.values())
    yield from (key_steps.removal(held, bound) for held in gone.keys.values())
    yield from map(user_steps.removal, gone.users.values())


def _flags(held: Iterable[HeldKey], steps: Iterable[Step]) -> dict[str, bool]:
    """The calendar flag of each virtual key there will be, by its id."""
    after = (step.after for step in steps if isinstance(step.after, HeldKey))
    return {each.key.id: each.key.calendar_aligned for each in (*held, *after)}


def _staying(stored: Mapping[str, HeldLimit], removed: set[str], steps: Iterable[Step]) -> Iterator[Limit]:
    yield from (held.limit for key, held in stored.items() if key not in removed)
    yield from (step.after.limit for step in steps if isinstance(step.after, HeldLimit))


def _keyless(wanted: Wanted, flags: Mapping[str, bool]) -> Iterator[Fault]:
    for limit in wanted.limits:
        draft = limit.draft
        if draft.scope == Scope.VIRTUAL_KEY and draft.scope_id not in flags:
            yield Fault(limit.scope_path, f"Virtual key '{draft.scope_id}' not found")
