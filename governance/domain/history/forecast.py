"""Forecast when a rule runs out, and what its window will have used at its end.

The pace of this window and that of comparable past windows are weighted by the share of this window that has passed:
early in a window the past counts more, late in it the window itself. docs/history.md has the formula.
"""

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from governance.domain.history.windows import CountedWindow
from governance.domain.limits.limit import Counter, Rule
from governance.domain.times import DAY

LEAST_PASSED = Fraction(1, 20)
"""No forecast is made before this share of a window has passed."""


class Outlook(StrEnum):
    """What a forecast says about a rule: it is too early, enough is left, it will run out, or it has."""

    TOO_EARLY = "too_early"
    LASTS = "lasts"
    RUNS_OUT = "runs_out"
    USED_UP = "used_up"


class Pace(NamedTuple):
    """Amounts a microsecond: in this window, in past windows (None without any), and as it is expected to go on."""

    this_window: Fraction
    past_windows: Fraction | None
    expected: Fraction


class Forecast(NamedTuple):
    """The forecast of a rule in its current window, with the past windows that it compares.

    `passed` is the share of the window that has passed. `pace`, `at_reset` and `runs_out_at` are None while it is too
    early; `runs_out_at` (microseconds) is also None if the rule lasts or is used up.
    """

    rule: Rule
    window: Counter
    past: Sequence[CountedWindow]
    passed: Fraction
    outlook: Outlook
    pace: Pace | None = None
    at_reset: int | None = None
    runs_out_at: int | None = None


def forecast(rule: Rule, window: Counter, past: Sequence[CountedWindow], now: int) -> Forecast:
    """Return the forecast of a rule at an instant, from what was used. What is reserved does not count."""
    elapsed, left = now - window.start, window.end - now
    passed = max(Fraction(0), Fraction(elapsed, window.end - window.start))
    is_used_up = window.used >= rule.max_limit
    early = Forecast(rule, window, past, passed, Outlook.USED_UP if is_used_up else Outlook.TOO_EARLY)
    if passed < LEAST_PASSED:
        return early
    pace = _pace(window, past, passed, elapsed)
    at_reset = window.used + ceil(pace.expected * left)
    found = early._replace(outlook=Outlook.LASTS, pace=pace, at_reset=at_reset)
    if is_used_up:
        return found._replace(outlook=Outlook.USED_UP)
    if at_reset < rule.max_limit:
        return found
    runs_out_at = now + ceil((rule.max_limit - window.used) / pace.expected)
    return found._replace(outlook=Outlook.RUNS_OUT, runs_out_at=min(runs_out_at, window.end))


def _pace(window: Counter, past: Sequence[CountedWindow], passed: Fraction, elapsed: int) -> Pace:
    this = Fraction(window.used, elapsed)
    if not past:
        return Pace(this, None, this)
    before = Fraction(sum(each.used for each in past), sum(each.end - each.start for each in past))
    return Pace(this, before, this * passed + before * (1 - passed))


def a_day(pace: Fraction) -> int:
    """Return a pace as an amount a day, rounded to the unit of the metric."""
    return round(pace * DAY)
