"""Computes bounds of what a limit would have done, from buckets of usage.

A bucket contains the sum of its calls, not the size of each call. So the bounds hold for all possible sizes. They
assume that each call requested exactly what it used. A bucket may overlap two windows. Then the upper bound counts the
whole bucket in both windows, and the lower bound counts it in neither.
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
    `possible` is the sum of all buckets that overlap the window. The window used at least `certain` and at most
    `possible`.
    """

    inside: list[int] = field(default_factory=list)
    certain: int = 0
    possible: int = 0


class RuleBounds(NamedTuple):
    """What one rule would have done.

    `least` is the smallest possible number of refused calls. `passed` is the largest amount of its metric that the rule
    would have admitted. `refusing` contains the starts of the buckets in which it may have refused a call. It has
    certainly refused a call by the instant `latest`, or `latest` is None.
    """

    metric: str
    least: int
    passed: int
    refusing: frozenset[int]
    latest: int | None


def bounds(limit: Limit, buckets: Sequence[BucketSum]) -> tuple[WhatIf, frozenset[int]]:
    """Return what a limit would have done with the calls of these buckets, which are sorted by time.

    Also return the starts of the buckets in which it may have refused a call. No window of the limit may be shorter
    than a bucket.
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

    The admitted calls used at most the maximum, so the refused calls used at least the excess over it. A call uses one
    request. Of another metric, the fewest calls use the excess if each bucket was one call, and the largest calls were
    refused.
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
