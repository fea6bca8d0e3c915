"""Finds the time window of a rule that contains a given time.

A counter contains the usage of a rule in one window. The start of the window is part of the counter's key. So a new
window gets a new counter, and no job has to reset counters. A window is either a rolling window or a calendar window.
A rolling window has a fixed length and starts at anchor + k × length, where k is any whole number. A calendar window
consists of whole days, weeks, months or years in a time zone. Calendar windows are counted from 1970. A day begins at
the first instant of its local date, which is not always midnight (docs/contract.md §5).
"""

from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from governance.domain.limits.durations import Duration
from governance.domain.times import EPOCH, SECOND, from_datetime, to_datetime

FIRST_DAY = date(1970, 1, 1).toordinal()
FIRST_MONDAY = date(1970, 1, 5).toordinal()
FIRST_YEAR = 1970
REMEMBERED = 4096


class Window(NamedTuple):
    """A time span in microseconds since 1970. It contains `start`, but not `end`, the start of the next window."""

    start: int
    end: int


class Alignment(NamedTuple):
    """Whether a limit's windows follow the calendar, and in which time zone.

    `zone` is an IANA name. It is used only if `calendar` is true.
    """

    calendar: bool
    zone: str


class Frame(NamedTuple):
    """All values that determine a rule's windows. Two rules with equal frames have the same windows."""

    length: int
    unit: str
    multiple: int
    zone: str
    anchor: int


def frame(duration: Duration, alignment: Alignment, anchor: int) -> Frame:
    """Return the frame of a rule.

    Values that do not affect the rule's windows are 0 or empty. So rules with equal windows have equal frames.
    """
    if alignment.calendar and duration.alignable:
        return Frame(0, duration.unit, duration.multiple, alignment.zone, 0)
    return Frame(duration.length, "", 0, "", anchor)


def window(duration: Duration, alignment: Alignment, anchor: int, now: int) -> Window:
    """Return the window that contains `now`.

    `anchor` is the start of any one of the rule's rolling windows, in microseconds.
    """
    if alignment.calendar and duration.alignable:
        return calendar(duration.unit, duration.multiple, alignment.zone, now)
    start = now - (now - anchor) % duration.length
    return Window(start, start + duration.length)


_latest: dict[tuple[str, int, str], Window] = {}


def calendar(unit: str, multiple: int, zone: str, now: int) -> Window:
    """Return the calendar window that contains `now`. It is `multiple` units long, in the time zone `zone`.

    The unit is `d` (day), `w` (week), `M` (month) or `Y` (year). Nearly all callers pass the present time, so the last
    result is cached for each unit, multiple and zone.
    """
    key = (unit, multiple, zone)
    known = _latest.get(key)
    if known is not None and known.start <= now < known.end:
        return known
    found = _calendar(unit, multiple, ZoneInfo(zone), now)
    if len(_latest) >= REMEMBERED:
        _latest.clear()
    _latest[key] = found
    return found


def _calendar(unit: str, multiple: int, zone: tzinfo, now: int) -> Window:
    period = _period(unit, _day(zone, now)) // multiple * multiple
    return Window(day_start(zone, _first_day(unit, period)), day_start(zone, _first_day(unit, period + multiple)))


def _day(zone: tzinfo, now: int) -> date:
    """Return the last day that began at or before `now`.

    If the clock was set back from after midnight to before midnight, this day is later than the local date.
    """
    day = to_datetime(now).astimezone(zone).date()
    following = day + timedelta(days=1)
    return following if day_start(zone, following) <= now else day


def _period(unit: str, day: date) -> int:
    """Return the number of the day, week, month or year that contains `day`. The first one in 1970 has the number 0."""
    match unit:
        case "d":
            return day.toordinal() - FIRST_DAY
        case "w":
            return (day.toordinal() - FIRST_MONDAY) // 7
        case "M":
            return (day.year - FIRST_YEAR) * 12 + day.month - 1
    return day.year - FIRST_YEAR


def _first_day(unit: str, period: int) -> date:
    """Return the first day of the period with this number. This is the inverse of `_period`."""
    match unit:
        case "d":
            return date.fromordinal(FIRST_DAY + period)
        case "w":
            return date.fromordinal(FIRST_MONDAY + 7 * period)
        case "M":
            return date(FIRST_YEAR + period // 12, period % 12 + 1, 1)
    return date(FIRST_YEAR + period, 1, 1)


@lru_cache(maxsize=REMEMBERED)
def day_start(zone: tzinfo, day: date) -> int:
    """Return the first instant of a local date, in microseconds.

    If midnight occurs twice, return the first one. If the clock skips midnight, return the instant of the skip. If the
    clock skips the whole date, return the start of the next date.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    before, after = _offset(midnight), _offset(midnight.replace(fold=1))
    instant = from_datetime(midnight.replace(tzinfo=EPOCH.tzinfo))
    if after <= before:
        return instant - before
    return _first_instant(zone, day, instant - after, instant - before)


def _offset(local: datetime) -> int:
    return (local.utcoffset() or timedelta()) // timedelta(microseconds=1)


def _first_instant(zone: tzinfo, day: date, low: int, high: int) -> int:
    """Return the first instant from `low` to `high` at which the local date is `day` or later.

    All times are in microseconds. Clocks are set forward or back only at full seconds, so only full seconds are tried.
    """
    while low < high:
        middle = (low + high) // 2 // SECOND * SECOND
        if to_datetime(middle).astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle + SECOND
    return low
