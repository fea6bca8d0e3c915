"""Plans a sync: computes the steps that change the stored rows so that they match a config file.

A step is the change of one row. The functions are pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from governance.domain.config import limit_steps, ownership, price_steps, user_steps, virtual_key_steps
from governance.domain.config.entries import Wanted
from governance.domain.config.plan_steps import Action, PlanContext, Step
from governance.domain.errors import Fault
from governance.domain.limits.limit import Limit, Scope
from governance.domain.records.stored import ManagedKey, ManagedLimit, StoredRows


class Plan(NamedTuple):
    """The steps for virtual keys, then for users, prices and limits, each in the order of the file.

    Removals come last. `gone` is the number of rows that the file created and no longer contains. It is 0 if the plan
    removes these rows.
    """

    steps: tuple[Step, ...]
    gone: int

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps whose action is not KEEP."""
        return tuple(step for step in self.steps if step.action != Action.KEEP)

    @property
    def writes(self) -> tuple[Step, ...]:
        """The steps that write to the database, including those that only store a new hash of an entry."""
        return tuple(step for step in self.steps if step.before != step.after)

    @property
    def counts(self) -> dict[Action, int]:
        """The number of steps by action. An action without steps is absent."""
        counter = Counter(step.action for step in self.steps)
        return {action: counter[action] for action in Action if counter[action]}

    @property
    def outline(self) -> tuple[object, ...]:
        """The part of the plan that users see. Two plans with equal outlines count as the same plan."""
        return tuple(step.outline for step in self.steps)


def plan(context: PlanContext, wanted: Wanted, *, prune: bool) -> tuple[Plan, list[Fault]]:
    """Return the plan for a file, and those faults of the file that depend on the stored rows.

    If `prune` is true, the plan also removes the rows that the file created and no longer contains.
    """
    stored = context.stored
    keys = virtual_key_steps.steps(context, wanted.keys)
    users = list(user_steps.steps(context, wanted.users))
    prices = price_steps.steps(context, wanted.prices)
    matches = limit_steps.matches(wanted.limits, stored.limits)
    matched_ids = {match.row.limit.id for match in matches.values()}
    missing = ownership.without(stored, matched_ids, *({step.id for step in each} for each in (keys, users, prices)))
    gone = ownership.owned(context, missing)
    flags = _flags(stored.keys.values(), keys)
    removed = set(gone.limits) if prune else set()
    limits = list(limit_steps.steps(context, wanted.limits, matches, removed, flags))
    faults = [
        *virtual_key_steps.clashes(wanted.keys, keys, stored.keys),
        *_keyless(wanted, flags),
        *price_steps.faults(stored.prices, gone.prices if prune else {}, wanted.prices, prices),
    ]
    if not prune:
        return Plan((*keys, *users, *prices, *limits), len(gone.rows)), faults
    bound = {
        limit.scope_id or "" for limit in _staying(stored.limits, removed, limits) if limit.scope == Scope.VIRTUAL_KEY
    }
    faults += ownership.owner_faults(context, missing)
    return Plan((*keys, *users, *prices, *limits, *_ends(gone, bound)), 0), faults


def _ends(gone: StoredRows, bound: set[str]) -> Iterator[Step]:
    """Yield the step for each row that the file created and no longer contains.

    Each step removes its row, except for keys in `bound`: the ids of the virtual keys that limits still use.
    """
    yield from map(limit_steps.removal, gone.limits.values())
    yield from (virtual_key_steps.removal(row, bound) for row in gone.keys.values())
    yield from map(user_steps.removal, gone.users.values())
    yield from map(price_steps.removal, gone.prices.values())


def _flags(rows: Iterable[ManagedKey], steps: Iterable[Step]) -> dict[str, bool]:
    """Return `calendar_aligned` of each virtual key after the steps, by key id: whether windows follow the calendar."""
    after = (step.after for step in steps if isinstance(step.after, ManagedKey))
    return {each.key.id: each.key.calendar_aligned for each in (*rows, *after)}


def _staying(stored: Mapping[str, ManagedLimit], removed: set[str], steps: Iterable[Step]) -> Iterator[Limit]:
    yield from (row.limit for key, row in stored.items() if key not in removed)
    yield from (step.after.limit for step in steps if isinstance(step.after, ManagedLimit))


def _keyless(wanted: Wanted, flags: Mapping[str, bool]) -> Iterator[Fault]:
    for limit in wanted.limits:
        draft = limit.draft
        if draft.scope == Scope.VIRTUAL_KEY and draft.scope_id not in flags:
            yield Fault(limit.scope_path, f"Virtual key '{draft.scope_id}' not found")
