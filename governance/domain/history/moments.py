"""A point in time as a query gives it: an instant, a day, or a length of time before now."""

import re
from datetime import date

from governance.domain.errors import Code, InvalidRequest
from governance.domain.history.calendar import Calendar, Span
from governance.domain.limits import durations
from governance.domain.limits.durations import Duration
from governance.domain.times import DAY, parse_rfc3339

Moment = int | date | Duration
"""An instant (microseconds), the midnight at which a day begins, or a length of time before now.

A length in whole days, weeks, months or years goes back to the start of the day that it reaches.
"""
USUAL_DAYS = 30
"""If a query gives no `since`, it begins this many days before `until`, or before now if `until` is in the future."""
FARTHEST = 366 * DAY
"""A time span ends at most this long after now.

No usage is later than now, so a longer span would only take time: each day of a span takes some microseconds.
"""
A_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
IN_THE_FUTURE = "Give an earlier since: it is in the future."
BEFORE_ITS_START = "Give until later than since."


def parse(text: str) -> Moment:
    """Parse `2027-01-31T00:00:00Z`, `2027-01-31`, `30d` or `12h`. Raises ValueError."""
    if A_DAY.fullmatch(text):
        return date.fromisoformat(text)
    return parse_rfc3339(text) if "-" in text else durations.parse(text)


def instant_of(moment: Moment, calendar: Calendar, now: int) -> int:
    """Convert a moment to an instant in microseconds. `calendar` says when a day begins."""
    if isinstance(moment, Duration):
        ago = max(0, now - moment.length)
        return calendar.day_of(ago) if moment.alignable else ago
    return calendar.midnight(moment) if isinstance(moment, date) else moment


def span_of(since: Moment | None, until: Moment | None, calendar: Calendar, now: int, latest: int) -> Span:
    """Return the time span of a query. It ends at `latest` if `until` is None. Raises InvalidRequest.

    It begins in 1970 or later, and ends at most `FARTHEST` after now.
    """
    end = latest if until is None else min(instant_of(until, calendar, now), now + FARTHEST)
    usual = calendar.day_of(max(0, min(end, now) - USUAL_DAYS * DAY))
    start = usual if since is None else instant_of(since, calendar, now)
    start = calendar.day_of(0) if start < 0 else start
    if start > now:
        raise InvalidRequest(IN_THE_FUTURE, param="since", code=Code.INVALID_PARAMETER)
    if start >= end:
        raise InvalidRequest(BEFORE_ITS_START, param="until", code=Code.INVALID_PARAMETER)
    return Span(start, end)
