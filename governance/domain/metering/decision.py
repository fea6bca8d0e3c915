"""Whether a call may pass: every rule of every limit that applies must have room, or nothing is held at all."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from governance.domain.errors import Code
from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import Counter, Limit, Metric, Rule
from governance.domain.metering.request import Call, RequestedAmounts
from governance.domain.metering.reservation import Reservation
from governance.domain.times import SECOND


class MatchedRule:
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


def in_order(rules: Iterable[MatchedRule]) -> tuple[MatchedRule, ...]:
    """Rules that apply together, as a decision shows them."""
    return tuple(sorted(rules, key=lambda each: each.place))


class RuleStatus(NamedTuple):
    """A rule in its current window, and what a call asks of it: 0 also where the call has `left_out` the amount.

    The window is as it was before the call.
    """

    matched: MatchedRule
    window: Counter
    requested: int
    left_out: bool = False

    @property
    def has_room(self) -> bool:
        """Whether the rule lets the call pass: an amount must fit, one left out needs any rest, and a 0 needs none."""
        if not self.requested and not self.left_out:
            return True
        taken, limit = self.window.used + self.window.reserved, self.matched.rule.max_limit
        return taken < limit and taken + self.requested <= limit

    @property
    def remaining(self) -> int:
        """What is left; 0 where more than the limit was used."""
        return max(0, self.matched.rule.max_limit - self.window.used - self.window.reserved)

    @property
    def exceeds_limit(self) -> bool:
        """Whether no later window will ever let the call pass: it asks for more than the whole limit."""
        return self.requested > self.matched.rule.max_limit


class KeyRefusal(NamedTuple):
    """Why the virtual key of a call may not be used."""

    message: str
    code: Code
    param: str | None = None


INACTIVE = KeyRefusal("Activate the virtual key, or use another: it is inactive.", Code.VIRTUAL_KEY_INACTIVE)
EXPIRED = KeyRefusal("Use another virtual key: this one has expired.", Code.VIRTUAL_KEY_EXPIRED)


class Decision(NamedTuple):
    """What a call is answered at an instant: the status of every rule that applied, the most specific first.

    `violations` are the rules without room, `reservation` is what was held or charged, and `key_refusal` says why the
    virtual key may not be used. `rendered` is what the renderer that was handed in has made of this. A repeat
    (`replayed`) is known by what was rendered the first time, and by nothing else.
    """

    call: Call
    now: int
    statuses: Sequence[RuleStatus] = ()
    violations: Sequence[RuleStatus] = ()
    reservation: Reservation | None = None
    key_refusal: KeyRefusal | None = None
    rendered: bytes = b""
    replayed: bool = False

    @property
    def allowed(self) -> bool:
        """Whether every rule had room, and the virtual key may be used."""
        return not self.violations and self.key_refusal is None

    @property
    def word(self) -> str:
        """What a denial is called: a budget first, since a call that waits for a rate limit would meet it again."""
        metrics = {status.matched.rule.metric for status in self.violations}
        if Metric.COST in metrics:
            return "budget_exceeded"
        if metrics == {Metric.TOKENS}:
            return "token_limited"
        return "request_limited" if metrics == {Metric.REQUESTS} else "rate_limited"

    @property
    def retry_at(self) -> int | None:
        """When every violated rule has begun a new window; None where waiting is of no use."""
        if not self.violations or any(status.exceeds_limit for status in self.violations):
            return None
        return max(status.window.end for status in self.violations)

    @property
    def retry_after(self) -> int | None:
        """Whole seconds until `retry_at`."""
        return None if self.retry_at is None else max(1, -(-(self.retry_at - self.now) // SECOND))


def decide(
    rules: Sequence[MatchedRule], windows: Sequence[Counter], amounts: RequestedAmounts
) -> tuple[list[RuleStatus], list[RuleStatus]]:
    """The status of each rule in its window, for a call that asks for these amounts; and those without room."""
    cost, tokens, requests = amounts
    asked = {"cost": (cost or 0, cost is None), "tokens": (tokens or 0, tokens is None), "requests": (requests, False)}
    statuses = [RuleStatus(rule, window, *asked[rule.rule.metric]) for rule, window in zip(rules, windows, strict=True)]
    return statuses, [status for status in statuses if not status.has_room]


def key_refusal(key: VirtualKey, now: int) -> KeyRefusal | None:
    """Why a virtual key may not be used; None where it may."""
    if not key.is_active:
        return INACTIVE
    return EXPIRED if key.expires_at is not None and key.expires_at <= now else None
