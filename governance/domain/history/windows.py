"""The windows of a rule: what was used in each, and which past ones compare with the current one."""

from collections.abc import Iterator
from typing import NamedTuple

from governance.domain.limits.limit import Rule
from governance.domain.limits.windows import Alignment, Window, window
from governance.domain.times import DAY, HOUR

PAST_WINDOWS = 4
"""The most past windows that a forecast compares."""
CLOCK_CHANGE = 2 * HOUR
"""A day or a week may be shorter by this much where the clock changes."""


class CountedWindow(NamedTuple):
    """What was used and is reserved of a rule in a window, in nano-dollars, tokens or requests.

    `max_limit` is the maximum of the rule; of a closed window the last one before its end, None if it is not known.
    """

    rule_id: str
    metric: str
    start: int
    end: int
    used: int
    reserved: int
    max_limit: int | None


def comparable(rule: Rule, alignment: Alignment, current: Window) -> Iterator[Window]:
    """Yield the past windows that compare with the current one, the newest first.

    They are the windows at the same time of the last days; if a window is a day or longer, at the same time of the
    last weeks; if it is a week or longer, the windows before it.
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
