"""Computes how many past calls a limit would have refused, at least and at most, from sums of usage.

A rule is one maximum of a limit. Each sum is a bucket: the usage of all calls in 15 minutes. A bucket does not contain
the size of each call, so the bounds hold for all possible sizes. The bounds assume that each call requested exactly
what it used. A bucket may overlap two windows. Then the upper bound counts the whole bucket in both windows, and the
lower bound counts it in neither.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from governance.domain.history.usage import BUCKET
from governance.domain.history.what_if import Bounds, BucketSum, WhatIf
from governance.domain.limits.limit import Limit, Metric, Rule
from governance.domain.limits.windows import Alignment, window


@dataclass(slots=True)
class WindowSums:
    """The usage in one window: nano-dollars, tokens or requests.

    `inside` contains the amount of each bucket that lies inside the window. `certain` is the sum of these amounts.
    `possible` is the sum of all buckets that overlap the window. The usage in the window is at least `certain` and at
    most `possible`.
    """

    inside: list[int] = field(default_factory=list)
    certain: int = 0
    possible: int = 0


class RuleBounds(NamedTuple):
    """What one rule would have done.

    `least` is the smallest possible number of refused calls. `passed` is the largest amount (of the rule's metric) that
    the rule may have admitted. `refusing` contains the starts of the buckets in which the rule may have refused a call.
    By the instant `latest`, the rule has certainly refused a call. `latest` is None if no refusal is certain.
    """

    metric: str
    least: int
    passed: int
    refusing: frozenset[int]
    latest: int | None


def bounds(limit: Limit, buckets: Sequence[BucketSum]) -> tuple[WhatIf, frozenset[int]]:
    """Return what a limit would have done with the calls of the buckets.

    Also return the starts of the buckets in which the limit may have refused a call. `buckets` must be sorted by time.
    No window of the limit may be shorter than a bucket.
    """
    rules = [_of_rule(rule, limit.alignment, buckets) for rule in limit.rules]
    refusing = frozenset[int]().union(*(each.refusing for each in rules))
    certain = [each for each in buckets if each.start not in refusing]
    latest = [each.latest for each in rules if each.latest is not None]
    found = WhatIf(
        is_exact=False,
        calls=sum(each.requests for each in buckets),
        cost=sum(each.cost for each in buckets),
        tokens=sum(each.tokens for each in buckets),
        refused=Bounds(
            max((each.least for each in rules), default=0),
            sum(each.requests for each in buckets if each.start in refusing),
        ),
        spent=_passed(Metric.COST, certain, buckets, rules),
        spent_tokens=_passed(Metric.TOKENS, certain, buckets, rules),
        earliest=min(refusing, default=None),
        latest=min(latest, default=None),
    )
    return found, refusing


def _passed(
    metric: Metric, certain: Iterable[BucketSum], buckets: Iterable[BucketSum], rules: Iterable[RuleBounds]
) -> Bounds:
    most = (each.passed for each in rules if each.metric == metric)
    total = sum(_amount(each, metric) for each in buckets)
    return Bounds(sum(_amount(each, metric) for each in certain), min([total, *most]))


def _of_rule(rule: Rule, alignment: Alignment, buckets: Iterable[BucketSum]) -> RuleBounds:
    windows: dict[int, WindowSums] = {}
    refusing, latest = set(), None
    for bucket in buckets:
        amount, end = _amount(bucket, rule.metric), bucket.start + BUCKET
        touched = {window(rule.duration, alignment, rule.anchor, at).start for at in (bucket.start, end - 1)}
        for start in touched:
            sums = windows.setdefault(start, WindowSums())
            sums.possible += amount
            if sums.possible > rule.max_limit:
                refusing.add(bucket.start)
            if len(touched) == 1:
                sums.inside.append(amount)
                sums.certain += amount
                latest = end if latest is None and sums.certain > rule.max_limit else latest
    least = sum(_fewest(rule, each) for each in windows.values())
    passed = sum(min(each.possible, rule.max_limit) for each in windows.values())
    return RuleBounds(rule.metric, least, passed, frozenset(refusing), latest)


def _fewest(rule: Rule, sums: WindowSums) -> int:
    """Return the smallest number of calls that a rule may have refused in a window.

    The admitted calls used at most the maximum. So the refused calls used at least the excess: the usage of all calls,
    minus the maximum. If the metric is requests, the excess is the number of refused calls. For another metric, the
    number is smallest if each bucket contained one call, and the largest of these calls were refused.
    """
    excess = sums.certain - rule.max_limit
    if excess <= 0 or rule.metric == Metric.REQUESTS:
        return max(0, excess)
    count = 0
    for amount in sorted(sums.inside, reverse=True):
        if excess <= 0:
            break
        count, excess = count + 1, excess - amount
    return count


def _amount(bucket: BucketSum, metric: str) -> int:
    return int(getattr(bucket, metric))
