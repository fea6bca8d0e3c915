"""A model limit, its rules, and their counters.

A *limit* names the calls to which it applies (scope, provider, model). Its *rules* set the maxima. A budget is one rule
with the metric `cost`. A rate limit is one or two rules with the metrics `tokens` and `requests`. Both have the same
id. A *counter* contains the usage of one rule in one window.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from governance.domain.limits.durations import Duration, parse
from governance.domain.limits.windows import Alignment, Frame, frame, window
from governance.domain.names import ALL_MODELS, Identity


class Metric(StrEnum):
    """What a rule counts: nano-dollars, tokens or requests."""

    COST = "cost"
    TOKENS = "tokens"
    REQUESTS = "requests"


class Scope(StrEnum):
    """The kind of callers that a limit applies to."""

    GLOBAL = "global"
    VIRTUAL_KEY = "virtual_key"
    USER = "user"


def scope_words(scope: str) -> str:
    """Return a scope as sentences name it, for example `virtual key`."""
    return scope.replace("_", " ")


def model_words(model: str | None, provider: str | None) -> str:
    """Return the models of a limit as sentences name them, for example `all models of openai`."""
    models = "all models" if model == ALL_MODELS else model
    return f"{models} of {provider}" if provider else f"{models}"


MAX_COUNT = 2**53 - 1
"""The largest maximum of tokens or requests (docs/contract.md §1). Every JSON client reads this number exactly."""
MAX_ITEMS = 32
"""The largest number of budgets, and of rate limits, that one limit may have (docs/contract.md §1)."""


class Rule(NamedTuple):
    """Allows at most `max_limit` of `metric` in each window. Instants are in microseconds. Money is in nano-dollars.

    `generation` rises by 1 when an edit changes the windows of the rule. A counter belongs to one generation.
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
        """The unique key of the rule. An id is not unique, because both rules of a rate limit have the same id."""
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
        """The models as sentences name them."""
        return model_words(self.model_name, self.provider)

    @property
    def identity(self) -> Identity:
        """The fields that must differ between any two limits."""
        return Identity.of(self.scope, self.scope_id, self.provider, self.model_name)


class Counter(NamedTuple):
    """The `used` and `reserved` amounts of one rule in one window."""

    start: int
    end: int
    used: int
    reserved: int


Counters = tuple[Counter | None, ...]
"""The newest counter of each rule of a limit, in the order of its rules. A rule without a counter has None."""


class LimitState(NamedTuple):
    """A limit with its counters and the name of its scope, as responses show them."""

    limit: Limit
    counters: Counters
    scope_name: str | None


class OwnRule(NamedTuple):
    """A rule of a limit in its current window, as shown to the holder of a virtual key.

    The virtual key is the limit's scope.
    """

    model_name: str
    provider: str | None
    rule: Rule
    window: Counter


class Opening(NamedTuple):
    """The first counter of a new rule, with its usage."""

    rule: Rule
    start: int
    end: int
    used: int


def current(rule: Rule, alignment: Alignment, counter: Counter | None, now: int) -> Counter:
    """Return the counter of a rule in its current window.

    `counter` is the newest counter of the rule. A counter stays current until its window ends, even if the clock is set
    back to an instant before the window. A closed window never reopens (docs/contract.md §5). If the rules of a time
    zone change, the window at `now` may start no later than a counter that has already ended. Then that counter
    continues with a new end.
    """
    if counter is not None and counter.end > now:
        return counter
    start, end = window(rule.duration, alignment, rule.anchor, now)
    if counter is not None and counter.start >= start:
        return counter._replace(end=end)
    return Counter(start, end, 0, 0)


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Sort rules as responses and storage list them: budgets, then rate limits, each by the length of the window."""
    items = rules_by_id(sorted(rules, key=lambda rule: (rule.metric == Metric.REQUESTS, rule.duration.length)))
    windows = {rule_id: min(rule.duration.length for rule in item) for rule_id, item in items.items()}
    items_in_order = sorted(
        (first.metric != Metric.COST, windows[first.id], first.metric == Metric.REQUESTS, first.id)
        for first, *_ in items.values()
    )
    return tuple(rule for *_, rule_id in items_in_order for rule in items[rule_id])


def rules_by_id(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    """Return the one or two rules of each budget and rate limit, by its id."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.id, []).append(rule)
    return found


SHARE = 2**128
"""The number of units in a whole.

With the largest maxima, two different shares differ by at least 10^-36. One unit is smaller than that.
"""


def share(used: int, max_limit: int) -> int:
    """Return used/max_limit in units of 1/SHARE."""
    return used * SHARE // max_limit


def usage_share(scoped: LimitState, now: int) -> int:
    """Return the highest share among a limit's rules in their current windows, in units of 1/SHARE.

    Return 0 for a limit without rules.
    """
    limit, counters, _ = scoped
    live = (
        share(counter.used, rule.max_limit)
        for rule, counter in zip(limit.rules, counters, strict=True)
        if counter is not None and counter.end > now
    )
    return max(live, default=0)
