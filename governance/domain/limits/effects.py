"""Computes what an edit of a limit does to the limit's rules and their usage.

A limit has rules. A rule sets a maximum of dollars, tokens or requests in a time window. A counter contains the usage
of a rule in one window. The functions are pure.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import NamedTuple

from governance.domain.limits.item_matching import predecessors
from governance.domain.limits.limit import Counter, Limit, LimitState, Rule, current


class EffectKind(StrEnum):
    """What an edit does to a rule."""

    KEPT = "kept"
    CHANGED = "changed"
    MOVED = "moved"
    ADDED = "added"
    REMOVED = "removed"


class RuleEffect(NamedTuple):
    """What an edit does to a rule.

    `before` and `after` are the rule before and after the edit. `was` and `becomes` are the counters of its current
    window before and after the edit. An added rule has no `before`, and a removed rule has no `after`. A moved rule
    gets a different window, and its used and reserved amounts move to that window.
    """

    kind: EffectKind
    before: Rule | None
    after: Rule | None
    was: Counter | None
    becomes: Counter | None

    @property
    def metric(self) -> str:
        """The metric of the rule."""
        rule = self.after or self.before
        return "" if rule is None else rule.metric

    @property
    def is_used_up(self) -> bool:
        """Whether the rule has nothing left after the edit."""
        return (
            self.after is not None
            and self.becomes is not None
            and self.becomes.used + self.becomes.reserved >= self.after.max_limit
        )


def effects(entry: LimitState, after: Limit, reset: Collection[str], now: int) -> list[RuleEffect]:
    """Return the effect of an edit on each rule.

    `entry` is the limit before the edit, and `after` is the limit after it. The effects are in the order of the rules
    of `after`. Removed rules come last. For the metrics in `reset`, the edit sets the usage to 0. Reserved amounts
    stay.
    """
    limit, counters, _ = entry
    open_windows = {
        rule.key: current(rule, limit.alignment, counter, now)
        for rule, counter in zip(limit.rules, counters, strict=True)
    }
    before = predecessors(limit.rules, after.rules)
    found = []
    for rule in after.rules:
        fresh, earlier = current(rule, after.alignment, None, now), before.get(rule.key)
        if earlier is None:
            found.append(RuleEffect(EffectKind.ADDED, None, rule, None, fresh))
        else:
            found.append(_continued(rule, earlier, open_windows[earlier.key], fresh, is_reset=rule.metric in reset))
    return [*found, *_removed(limit, before, open_windows)]


def _continued(rule: Rule, before: Rule, was: Counter, fresh: Counter, *, is_reset: bool) -> RuleEffect:
    is_moved = before.generation != rule.generation
    becomes = fresh._replace(used=was.used, reserved=was.reserved) if is_moved else was
    if is_reset:
        becomes = becomes._replace(used=0)
    kind = EffectKind.MOVED if is_moved else EffectKind.KEPT
    if not is_moved and (rule.max_limit != before.max_limit or becomes != was):
        kind = EffectKind.CHANGED
    return RuleEffect(kind, before, rule, was, becomes)


def _removed(
    limit: Limit, kept: dict[tuple[str, str], Rule], open_windows: dict[tuple[str, str], Counter]
) -> Iterator[RuleEffect]:
    continued = {rule.key for rule in kept.values()}
    for rule in limit.rules:
        if rule.key not in continued:
            yield RuleEffect(EffectKind.REMOVED, rule, None, open_windows[rule.key], None)
