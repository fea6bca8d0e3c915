"""Forecasts when a rule will be used up, and how much will be used by the end of its current window.

A rule is one maximum of a limit, for example 10 dollars a day. The pace of a window is its usage per time. The forecast
combines the pace of the current window with the pace of comparable past windows. The weight of the current window is
the share of its time that has passed. So the past windows count more at the start of the current window, and less
towards its end. docs/history.md contains the formula.
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
"""No forecast is made until this share of a window has passed."""


class Outlook(StrEnum):
    """The result of a forecast: too early to tell, enough is left, it will be used up, or it is used up already."""

    TOO_EARLY = "too_early"
    LASTS = "lasts"
    RUNS_OUT = "runs_out"
    USED_UP = "used_up"


class Pace(NamedTuple):
    """Amounts per microsecond: in the current window, in past windows (or None), and as expected from now on.

    The pace of past windows is None if there are no past windows to compare.
    """

    this_window: Fraction
    past_windows: Fraction | None
    expected: Fraction


class Forecast(NamedTuple):
    """The forecast for a rule in its current window, and the past windows that were compared.

    `passed` is the share of the window that has passed. `at_reset` is the amount that will be used by the end of the
    window. `runs_out_at` is the instant (microseconds) at which the rule will be used up. It is None if the rule will
    not be used up, or is used up already. While it is too early for a forecast, `pace`, `at_reset` and `runs_out_at`
    are None.
    """

    rule: Rule
    window: Counter
    past: Sequence[CountedWindow]
    passed: Fraction
    outlook: Outlook
    pace: Pace | None = None
    at_reset: int | None = None
    runs_out_at: int | None = None

    @property
    def possible_from(self) -> int:
        """The instant from which a forecast is possible in this window."""
        return self.window.start + ceil((self.window.end - self.window.start) * LEAST_PASSED)


def forecast(rule: Rule, window: Counter, past: Sequence[CountedWindow], now: int) -> Forecast:
    """Return the forecast for a rule at an instant.

    It is computed from the amounts that were used. Reserved amounts are ignored.
    """
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
    """Convert a pace to an amount per day, rounded to the unit of the metric."""
    return round(pace * DAY)
