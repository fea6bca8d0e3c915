"""Which window an instant falls in: a pure function of (duration, alignment, zone, anchor, now).

A window's start is part of its counter's identity, so the end of a window is no event and no job resets it.
Rolling windows are anchor + k × length. Calendar windows are counted from 1970 in a zone's own days, and a day
begins at the first instant of its local date, which need not be midnight (docs/contract.md §5).
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
    """A half-open span of instants: `start` is in it, `end` is the next one's start."""

    start: int
    end: int


class Alignment(NamedTuple):
    """How a limit's windows lie: `zone` is an IANA name, and counts only where `calendar` is true."""

    calendar: bool
    zone: str


class Frame(NamedTuple):
    """All that decides a rule's windows. Two rules with equal frames share every window's start and end."""

    length: int
    unit: str
    multiple: int
    zone: str
    anchor: int


def frame(duration: Duration, alignment: Alignment, anchor: int) -> Frame:
    """The frame of a rule: what does not bear on its windows is left blank, so that frames compare."""
    if alignment.calendar and duration.alignable:
        return Frame(0, duration.unit, duration.multiple, alignment.zone, 0)
    return Frame(duration.length, "", 0, "", anchor)


def window(duration: Duration, alignment: Alignment, anchor: int, now: int) -> Window:
    """The window in which `now` falls; `anchor` (an instant) is where a rolling one once began."""
    if alignment.calendar and duration.alignable:
        return calendar(duration.unit, duration.multiple, alignment.zone, now)
    start = now - (now - anchor) % duration.length
    return Window(start, start + duration.length)


_latest: dict[tuple[str, int, str], Window] = {}


def calendar(unit: str, multiple: int, zone: str, now: int) -> Window:
    """The calendar window of `multiple` units (`d w M Y`) in `zone` in which `now` falls.

    Nearly all callers ask about the present, so the last answer is kept for each kind of window.
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
    """The day that has begun last at `now`: not the local date, where a clock was set back over midnight."""
    day = to_datetime(now).astimezone(zone).date()
    following = day + timedelta(days=1)
    return following if day_start(zone, following) <= now else day


def _period(unit: str, day: date) -> int:
    """The number of the day, week, month or year, counted from 1970, in which a day lies."""
    match unit:
        case "d":
            return day.toordinal() - FIRST_DAY
        case "w":
            return (day.toordinal() - FIRST_MONDAY) // 7
        case "M":
            return (day.year - FIRST_YEAR) * 12 + day.month - 1
    return day.year - FIRST_YEAR


def _first_day(unit: str, period: int) -> date:
    """The first day of a numbered period: the inverse of `_period`."""
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
    """The first instant of a local date.

    Where midnight comes twice that is the earlier one; where it is skipped, the instant at which the clock
    jumps over it (and where a whole date is skipped, that date is empty).
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
    """The transition between two instants at which the local date becomes `day` or later, to the second."""
    while low < high:
        middle = (low + high) // 2 // SECOND * SECOND
        if to_datetime(middle).astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle + SECOND
    return low
