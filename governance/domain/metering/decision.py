"""Whether a call may pass: every rule of every limit that applies must have room, or nothing is held at all."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from governance.domain.limits.limit import Counter, Limit, Metric, Rule
from governance.domain.times import SECOND

MAX_TOKENS = 10**12
"""The most tokens of one call (SPEC §1)."""
MAX_REQUESTS = 10**6
"""The most requests of one report (SPEC §1)."""


class Amounts(NamedTuple):
    """What a call holds, or used: nano-dollars, tokens, requests; by the names of the metrics."""

    cost: int = 0
    tokens: int = 0
    requests: int = 1

    def of(self, metric: str) -> int:
        """The amount that a rule of this metric counts."""
        return int(getattr(self, metric))


class RequestedAmounts(NamedTuple):
    """What a call asks for, in the units of `Amounts`; None is an amount left out, which is not the same as 0."""

    cost: int | None = None
    tokens: int | None = None
    requests: int = 1


class Applied:
    """A rule that applies to calls: its limit, the scope's name, and how specific that is.

    Made once, met by many calls: so what all of them ask of it is found out here. `kind` is `budget` or `rate_limit`;
    `key` names the rule in one generation; `place` is where it stands among others: the most specific first, then
    kind, window length, id.
    """

    __slots__ = ("key", "kind", "limit", "place", "rank", "rule", "scope_name")

    def __init__(self, rule: Rule, limit: Limit, scope_name: str | None, rank: tuple[int, int]) -> None:
        self.rule = rule
        self.limit = limit
        self.scope_name = scope_name
        self.rank = rank
        self.kind = "budget" if rule.metric == Metric.COST else "rate_limit"
        self.key = (rule.id, rule.metric, rule.generation)
        self.place = (*rank, self.kind, rule.duration.length, rule.id, rule.metric)


def in_order(applied: Iterable[Applied]) -> tuple[Applied, ...]:
    """Rules that apply together, as a decision shows them."""
    return tuple(sorted(applied, key=lambda each: each.place))


class Standing(NamedTuple):
    """A rule in its current window, and what a call asks of it: 0 also where the call has `left_out` the amount."""

    applied: Applied
    window: Counter
    requested: int
    left_out: bool = False

    @property
    def has_room(self) -> bool:
        """Whether the rule lets the call pass: an amount must fit, one left out needs any rest, and a 0 needs none."""
        if not self.requested and not self.left_out:
            return True
        taken, limit = self.window.used + self.window.reserved, self.applied.rule.max_limit
        return taken < limit and taken + self.requested <= limit

    @property
    def remaining(self) -> int:
        """What is left; 0 where more than the limit was used."""
        return max(0, self.applied.rule.max_limit - self.window.used - self.window.reserved)

    @property
    def hopeless(self) -> bool:
        """Whether no later window will ever let the call pass: it asks for more than the whole limit."""
        return self.requested > self.applied.rule.max_limit


class Verdict(NamedTuple):
    """Every rule that applied, and those without room, the most specific first."""

    standings: Sequence[Standing]
    violations: Sequence[Standing]

    @property
    def allowed(self) -> bool:
        """Whether every rule had room."""
        return not self.violations

    @property
    def word(self) -> str:
        """What a denial is called: a budget first, since a call that waits for a rate limit would meet it again."""
        metrics = {standing.applied.rule.metric for standing in self.violations}
        if Metric.COST in metrics:
            return "budget_exceeded"
        if metrics == {Metric.TOKENS}:
            return "token_limited"
        return "request_limited" if metrics == {Metric.REQUESTS} else "rate_limited"

    @property
    def retryable(self) -> bool:
        """Whether the same call may pass later."""
        return not any(standing.hopeless for standing in self.violations)

    def retry_after(self, now: int) -> int | None:
        """Whole seconds until every violated rule has begun a new window; None where waiting is of no use."""
        if not self.retryable:
            return None
        latest = max(standing.window.end for standing in self.violations)
        return max(1, -(-(latest - now) // SECOND))


def stand(applied: Sequence[Applied], windows: Sequence[Counter], amounts: RequestedAmounts) -> list[Standing]:
    """The standing of each rule in its window, for a call that asks for these amounts."""
    cost, tokens, requests = amounts
    asked = {"cost": (cost or 0, cost is None), "tokens": (tokens or 0, tokens is None), "requests": (requests, False)}
    return [Standing(each, window, *asked[each.rule.metric]) for each, window in zip(applied, windows, strict=True)]


def decide(standings: Sequence[Standing]) -> Verdict:
    """All or nothing; the standings are in order."""
    return Verdict(standings, [standing for standing in standings if not standing.has_room])
