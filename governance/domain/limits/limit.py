"""A model limit, its rules, and their counters.

A *limit* names the calls to which it applies (scope, provider, model). Its *rules* set the maximums. A budget is one
rule with the metric `cost`. A rate limit has one rule or two rules, with the metrics `tokens` and `requests`. The two
rules of a rate limit have the same id. A *counter* contains the usage of one rule in one time window.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from governance.domain.limits.durations import Duration, parse
from governance.domain.limits.windows import Alignment, Frame, frame, window
from governance.domain.names import ALL_MODELS, Identity


class Metric(StrEnum):
    """What a rule counts: nano-dollars (billionths of a dollar), tokens or requests."""

    COST = "cost"
    TOKENS = "tokens"
    REQUESTS = "requests"


class Scope(StrEnum):
    """The kind of callers that a limit applies to."""

    GLOBAL = "global"
    VIRTUAL_KEY = "virtual_key"
    USER = "user"


def scope_words(scope: str) -> str:
    """Return a scope as text for a sentence, for example `virtual key`."""
    return scope.replace("_", " ")


def model_words(model: str | None, provider: str | None) -> str:
    """Return the models of a limit as text for a sentence, for example `all models of openai`."""
    models = "all models" if model == ALL_MODELS else model
    return f"{models} of {provider}" if provider else f"{models}"


MAX_COUNT = 2**53 - 1
"""A rule may allow at most this many tokens or requests (docs/contract.md §1). Every JSON client reads it exactly."""
MAX_ITEMS = 32
"""A limit may have at most this many budgets, and at most this many rate limits (docs/contract.md §1)."""


class Rule(NamedTuple):
    """A rule: calls may use at most `max_limit` of `metric` in each window.

    Times are in microseconds since 1970. Money is in nano-dollars. `generation` rises by 1 when an edit changes the
    windows of the rule. A counter belongs to one generation.
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
        """The unique key of the rule. Its id is not unique, because the two rules of a rate limit have the same id."""
        return self.id, self.metric

    @property
    def duration(self) -> Duration:
        """The parsed `reset_duration`."""
        return parse(self.reset_duration)

    def frame(self, alignment: Alignment) -> Frame:
        """Return the values that determine the rule's windows."""
        return frame(self.duration, alignment, self.anchor)


class Limit(NamedTuple):
    """A model limit. Its rules are in the order in which responses list them: budgets first."""

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
        """Whether the limit's windows follow the calendar, and in which time zone."""
        return Alignment(self.calendar_aligned, self.timezone)

    @property
    def models_in_words(self) -> str:
        """The models as text for a sentence."""
        return model_words(self.model_name, self.provider)

    @property
    def identity(self) -> Identity:
        """The fields that together identify the limit. No two limits have the same values in all of these fields."""
        return Identity.of(self.scope, self.scope_id, self.provider, self.model_name)


class Counter(NamedTuple):
    """The `used` and `reserved` amounts of one rule in the window from `start` to `end`."""

    start: int
    end: int
    used: int
    reserved: int


Counters = tuple[Counter | None, ...]
"""The newest counter of each rule of a limit, in the order of the rules. The entry is None if a rule has no counter."""


class LimitState(NamedTuple):
    """A limit, its counters, and the name of the virtual key or user to which it applies, or None."""

    limit: Limit
    counters: Counters
    scope_name: str | None


class OwnRule(NamedTuple):
    """A rule and its current window, as shown to the holder of a virtual key.

    The rule belongs to a limit on this virtual key.
    """

    model_name: str
    provider: str | None
    rule: Rule
    window: Counter


class Opening(NamedTuple):
    """The first counter of a new rule, with the usage that an import brings along."""

    rule: Rule
    start: int
    end: int
    used: int


def current(rule: Rule, alignment: Alignment, counter: Counter | None, now: int) -> Counter:
    """Return the counter of a rule in its current window.

    `counter` is the newest counter of the rule. A counter stays current until its window ends, even if the clock is set
    back to a time before the window. A window that has ended never becomes current again (docs/contract.md §5). There
    is one exception. After the rules of a time zone have changed, the newest counter may have ended, and the window
    that contains `now` may start no later than that counter. Then that counter continues with a new end.
    """
    if counter is not None and counter.end > now:
        return counter
    start, end = window(rule.duration, alignment, rule.anchor, now)
    if counter is not None and counter.start >= start:
        return counter._replace(end=end)
    return Counter(start, end, 0, 0)


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Sort rules in the order in which they are shown and stored.

    Budgets come before rate limits. Within each kind, a shorter window comes before a longer one.
    """
    items = rules_by_id(sorted(rules, key=lambda rule: (rule.metric == Metric.REQUESTS, rule.duration.length)))
    windows = {rule_id: min(rule.duration.length for rule in item) for rule_id, item in items.items()}
    items_in_order = sorted(
        (first.metric != Metric.COST, windows[first.id], first.metric == Metric.REQUESTS, first.id)
        for first, *_ in items.values()
    )
    return tuple(rule for *_, rule_id in items_in_order for rule in items[rule_id])


def rules_by_id(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    """Return the rules by id: the one rule of each budget, and the one or two rules of each rate limit."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.id, []).append(rule)
    return found


SHARE = 2**128
"""The integer that stands for a share of 1, which is a fully used maximum.

With the largest allowed maximums, two different shares differ by at least 10^-36. One unit, 1/SHARE, is smaller.
"""


def share(used: int, max_limit: int) -> int:
    """Return used/max_limit as a whole number of units of 1/SHARE, rounded down."""
    return used * SHARE // max_limit


def usage_share(scoped: LimitState, now: int) -> int:
    """Return the highest used share of all rules of a limit in their current windows, in units of 1/SHARE.

    Return 0 for a limit without rules.
    """
    limit, counters, _ = scoped
    live = (
        share(counter.used, rule.max_limit)
        for rule, counter in zip(limit.rules, counters, strict=True)
        if counter is not None and counter.end > now
    )
    return max(live, default=0)
