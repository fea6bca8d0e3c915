"""A point in time as a question gives it: an instant, a day, or a length of time before now."""

import re
from datetime import date

from governance.domain.errors import Code, InvalidRequest
from governance.domain.history.calendar import Calendar, Span
from governance.domain.limits import durations
from governance.domain.limits.durations import Duration
from governance.domain.times import DAY, parse_rfc3339

Moment = int | date | Duration
"""An instant (microseconds), the midnight at which a day begins, or a length of time before now.

A length in days, weeks, months or years reaches back to a midnight.
"""
USUAL_DAYS = 30
"""The number of days before `until` at which a question begins if it gives no `since`."""
A_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
IN_THE_FUTURE = "Give an earlier since: this time is in the future."
BEFORE_ITS_START = "Give until later than since."


def parse(text: str) -> Moment:
    """Parse `2027-01-31T00:00:00Z`, `2027-01-31`, `30d` or `12h`. Raises ValueError."""
    if A_DAY.fullmatch(text):
        return date.fromisoformat(text)
    return parse_rfc3339(text) if "-" in text else durations.parse(text)


def instant_of(moment: Moment, calendar: Calendar, now: int) -> int:
    """Return the instant of a moment. Days are those of the calendar."""
    if isinstance(moment, Duration):
        ago = max(0, now - moment.length)
        return calendar.day_of(ago) if moment.alignable else ago
    return calendar.midnight(moment) if isinstance(moment, date) else moment


def span_of(since: Moment | None, until: Moment | None, calendar: Calendar, now: int, latest: int) -> Span:
    """Return the time span of a question. It ends at `latest` if `until` is None. Raises InvalidRequest."""
    end = latest if until is None else instant_of(until, calendar, now)
    start = calendar.day_of(max(0, end - USUAL_DAYS * DAY)) if since is None else instant_of(since, calendar, now)
    if start > now:
        raise InvalidRequest(IN_THE_FUTURE, param="since", code=Code.INVALID_PARAMETER)
    if start >= end:
        raise InvalidRequest(BEFORE_ITS_START, param="until", code=Code.INVALID_PARAMETER)
    return Span(start, end)
