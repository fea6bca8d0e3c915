"""The values the service is about: a model limit, its rules, and what has been used of them.

A *limit* says whom it concerns (scope, provider, model). Its *rules* say how much: a budget is one rule of
metric `cost`; a rate limit is one or two rules, of metrics `tokens` and `requests`, that share an id. A *counter*
holds what was used of one rule in one window.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from governance.domain.limits.durations import Duration, parse
from governance.domain.limits.windows import Alignment, Frame, frame, window
from governance.domain.names import Identity


class Metric(StrEnum):
    """What a rule counts: nano-dollars, tokens or requests."""

    COST = "cost"
    TOKENS = "tokens"
    REQUESTS = "requests"


class Scope(StrEnum):
    """Whom a limit concerns."""

    GLOBAL = "global"
    VIRTUAL_KEY = "virtual_key"
    USER = "user"


MAX_COUNT = 2**53 - 1
"""The largest token or request maximum (docs/contract.md §1): every JSON client reads it exactly."""
MAX_ITEMS = 32
"""The most budgets, and the most rate limits, of one limit (docs/contract.md §1)."""


class Rule(NamedTuple):
    """At most `max_limit` of `metric` in each window. Instants in microseconds, money in nano-dollars.

    `generation` rises whenever an edit gives the rule other windows; a counter belongs to one generation.
    """

    id: str
    metric: str
    max_limit: int
    reset_duration: str
    anchor: int
    generation: int
    config_hash: str | None
    created_at: int
    updated_at: int

    @property
    def key(self) -> tuple[str, str]:
        """What names the rule: the two rules of a rate limit share their id."""
        return self.id, self.metric

    @property
    def duration(self) -> Duration:
        """The parsed `reset_duration`."""
        return parse(self.reset_duration)

    def frame(self, alignment: Alignment) -> Frame:
        """All that decides where the rule's windows lie."""
        return frame(self.duration, alignment, self.anchor)


class Limit(NamedTuple):
    """A model limit with its rules, budgets first, each kind in the order in which it is shown."""

    id: str
    model_name: str
    provider: str | None
    scope: str
    scope_id: str | None
    calendar_aligned: bool
    timezone: str
    config_hash: str | None
    created_at: int
    updated_at: int
    version: int
    search_name: str
    rules: tuple[Rule, ...]

    @property
    def alignment(self) -> Alignment:
        """How the windows of the limit lie."""
        return Alignment(self.calendar_aligned, self.timezone)

    @property
    def identity(self) -> Identity:
        """What no second limit may share."""
        return Identity.of(self.scope, self.scope_id, self.provider, self.model_name)


class Counter(NamedTuple):
    """What was used, and what open reservations hold, of one rule in one window."""

    start: int
    end: int
    used: int
    reserved: int


Counters = tuple[Counter | None, ...]
"""The newest counter of each rule of a limit, in the order of its rules; None where nothing was ever counted."""


class LimitState(NamedTuple):
    """A limit together with all else that an answer shows of it."""

    limit: Limit
    counters: Counters
    scope_name: str | None


class Opening(NamedTuple):
    """The counter with which a rule begins."""

    rule: Rule
    start: int
    end: int
    used: int


def current(rule: Rule, alignment: Alignment, counter: Counter | None, now: int) -> Counter:
    """The window of a rule that counts at `now`, with what was used in it.

    A counter whose window has not ended is the current one also where the clock stepped back before its start:
    nothing reopens a closed window (docs/contract.md §5). Where the rules of a time zone change, the window of `now`
    may begin no later than a counter that has ended: it is that counter's window then, with another end.
    """
    if counter is not None and counter.end > now:
        return counter
    start, end = window(rule.duration, alignment, rule.anchor, now)
    if counter is not None and counter.start >= start:
        return counter._replace(end=end)
    return Counter(start, end, 0, 0)


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules as they are shown and stored: budgets, then rate limits, the shortest window first in each."""
    items = rules_by_id(sorted(rules, key=lambda rule: (rule.metric == Metric.REQUESTS, rule.duration.length)))
    windows = {rule_id: min(rule.duration.length for rule in item) for rule_id, item in items.items()}
    items_in_order = sorted(
        (first.metric != Metric.COST, windows[first.id], first.metric == Metric.REQUESTS, first.id)
        for first, *_ in items.values()
    )
    return tuple(rule for *_, rule_id in items_in_order for rule in items[rule_id])


def rules_by_id(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    """The budgets and rate limits among rules: each id with its one or two rules."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.id, []).append(rule)
    return found


SHARE = 2**128
"""Fine enough to tell any two fractions of the largest maxima apart: they differ by 10^-36 or more."""


def share(used: int, max_limit: int) -> int:
    """Which part of a maximum is used, in units of 1/SHARE."""
    return used * SHARE // max_limit


def usage_share(scoped: LimitState, now: int) -> int:
    """The highest used/limit among a limit's rules in their current windows, in units of 1/SHARE; no rules is 0."""
    limit, counters, _ = scoped
    live = (
        share(counter.used, rule.max_limit)
        for rule, counter in zip(limit.rules, counters, strict=True)
        if counter is not None and counter.end > now
    )
    return max(live, default=0)
