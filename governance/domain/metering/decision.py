"""Decides whether a call may pass.

A limit has rules. A rule sets a maximum of dollars, tokens or requests in a time window. Every rule of every limit that
applies to the call must have room for it. Otherwise nothing is reserved.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from governance.domain.errors import Code
from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import Counter, Limit, Metric, Rule
from governance.domain.metering.priced import PricedAmounts
from governance.domain.metering.request import Call, RequestedAmounts
from governance.domain.metering.reservation import Reservation
from governance.domain.times import SECOND


class MatchedRule:
    """A rule that applies to calls.

    `limit` is the limit of the rule. `scope_name` is the name of the virtual key or user to which the limit applies. A
    lower `rank` means that the limit is more specific. Many calls use the same object, so `kind`, `key` and `place` are
    computed only once. `kind` is `budget` or `rate_limit`. `key` identifies the rule and its generation, a number that
    rises when the rule's windows change. `place` is the sort key: the most specific rule comes first. Rules that are
    equally specific are sorted by kind, window length and id.
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
    """Sort the rules in the order of a decision: the most specific rule comes first."""
    return tuple(sorted(rules, key=lambda each: each.place))


class RuleStatus(NamedTuple):
    """A rule, the counter of its current window before the call, and the amount that the call requests.

    `requested` is in the unit that the rule counts: nano-dollars, tokens or requests. If the call does not give this
    amount, `requested` is 0 and `left_out` is true.
    """

    matched: MatchedRule
    window: Counter
    requested: int
    left_out: bool = False

    @property
    def has_room(self) -> bool:
        """Whether the window has room for the call.

        If the call gives an amount, this amount must fit. An amount of 0 always fits. If the call gives no amount, the
        window must have something left.
        """
        if not self.requested and not self.left_out:
            return True
        taken, limit = self.window.used + self.window.reserved, self.matched.rule.max_limit
        return taken < limit and taken + self.requested <= limit

    @property
    def remaining(self) -> int:
        """The amount that is left in the window. It is 0 if used and reserved amounts together exceed `max_limit`."""
        return max(0, self.matched.rule.max_limit - self.window.used - self.window.reserved)

    @property
    def exceeds_limit(self) -> bool:
        """Whether the call requests more than `max_limit`. Then no later window has room for the call either."""
        return self.requested > self.matched.rule.max_limit


class KeyRefusal(NamedTuple):
    """The reason why the virtual key of a call may not be used."""

    message: str
    code: Code
    param: str | None = None


INACTIVE = KeyRefusal("Activate the virtual key, or use another: it is inactive.", Code.VIRTUAL_KEY_INACTIVE)
EXPIRED = KeyRefusal("Use another virtual key: this one has expired.", Code.VIRTUAL_KEY_EXPIRED)


class Decision(NamedTuple):
    """The decision about a call: the status of each rule that applies, the most specific first.

    `violations` contains the statuses of the rules without room. `reservation` contains the amounts that were reserved
    or charged. `key_refusal` says why the virtual key may not be used. `rendered` is the response body. If the request
    repeats an earlier request, `replayed` is true and `rendered` is the body of the first response.
    """

    call: Call
    now: int
    statuses: Sequence[RuleStatus] = ()
    violations: Sequence[RuleStatus] = ()
    reservation: Reservation | None = None
    key_refusal: KeyRefusal | None = None
    priced: PricedAmounts | None = None
    is_unpriced: bool = False
    rendered: bytes = b""
    replayed: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the call may pass.

        Every rule has room, the virtual key may be used, and the call is not refused for an unknown price.
        """
        return not self.violations and self.key_refusal is None and not self.is_unpriced

    @property
    def word(self) -> str:
        """The reason for the denial, for example `budget_exceeded`.

        If a budget and a rate limit both deny the call, the reason is the budget, because the budget would still deny
        the call after the rate limit resets.
        """
        metrics = {status.matched.rule.metric for status in self.violations}
        if Metric.COST in metrics:
            return "budget_exceeded"
        if metrics == {Metric.TOKENS}:
            return "token_limited"
        return "request_limited" if metrics == {Metric.REQUESTS} else "rate_limited"

    @property
    def retry_at(self) -> int | None:
        """The time at which all rules without room have begun a new window.

        None if every rule has room, or if a retry cannot succeed.
        """
        if not self.violations or any(status.exceeds_limit for status in self.violations):
            return None
        return max(status.window.end for status in self.violations)

    @property
    def retry_after(self) -> int | None:
        """The number of seconds until `retry_at`, rounded up, at least 1. None if `retry_at` is None."""
        return None if self.retry_at is None else max(1, -(-(self.retry_at - self.now) // SECOND))


def decide(
    rules: Sequence[MatchedRule], windows: Sequence[Counter], amounts: RequestedAmounts
) -> tuple[list[RuleStatus], list[RuleStatus]]:
    """Return the status of each rule for a call with these amounts, and the statuses of the rules without room."""
    cost, tokens, requests, _ = amounts
    asked = {"cost": (cost or 0, cost is None), "tokens": (tokens or 0, tokens is None), "requests": (requests, False)}
    statuses = [RuleStatus(rule, window, *asked[rule.rule.metric]) for rule, window in zip(rules, windows, strict=True)]
    return statuses, [status for status in statuses if not status.has_room]


def key_refusal(key: VirtualKey, now: int) -> KeyRefusal | None:
    """Return why a virtual key may not be used. Return None if it may be used."""
    if not key.is_active:
        return INACTIVE
    return EXPIRED if key.expires_at is not None and key.expires_at <= now else None
