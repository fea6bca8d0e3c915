"""The usage of a rule in one time window, and the past windows that a forecast compares with the current window.

A rule is one maximum of a limit, for example 10 dollars a day.
"""

from collections.abc import Iterator
from typing import NamedTuple

from governance.domain.limits.limit import Rule
from governance.domain.limits.windows import Alignment, Window, window
from governance.domain.times import DAY, HOUR

PAST_WINDOWS = 4
"""The largest number of past windows that a forecast compares."""
CLOCK_CHANGE = 2 * HOUR
"""A day or a week may be shorter than usual by up to this much if the clock changes in it."""


class CountedWindow(NamedTuple):
    """The amounts that are used and reserved in one window of a rule, in nano-dollars, tokens or requests.

    `max_limit` is the maximum of the rule. For a past window, it is the last maximum before the end of the window. It
    is None if the maximum is not known.
    """

    rule_id: str
    metric: str
    start: int
    end: int
    used: int
    reserved: int
    max_limit: int | None


def comparable(rule: Rule, alignment: Alignment, current: Window) -> Iterator[Window]:
    """Yield the past windows that are comparable with the current one, newest first.

    If the current window is shorter than a day, these are the windows at the same time on earlier days. If it is
    shorter than a week, these are the windows at the same time in earlier weeks. Otherwise, these are the windows just
    before the current window.
    """
    length = current.end - current.start
    step = DAY if length < DAY - CLOCK_CHANGE else 7 * DAY
    middle, newest = (current.start + current.end) // 2, current.start
    for number in range(1, PAST_WINDOWS + 1):
        at = newest - 1 if length >= 7 * DAY - CLOCK_CHANGE else middle - number * step
        past = window(rule.duration, alignment, rule.anchor, at)
        if past.end <= newest:
            yield past
            newest = past.start
