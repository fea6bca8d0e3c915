"""Computes the instants at which the days, weeks and months of a time zone begin. Instants are in microseconds."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from governance.domain.history.usage import BUCKET
from governance.domain.times import HOUR, from_datetime, to_datetime

INSTANTS_REMEMBERED = 4096


class Period(StrEnum):
    """The length of the periods into which a query splits its time span."""

    QUARTER = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


SHORT = (Period.QUARTER, Period.HOUR)
"""The periods that are shorter than a day. A query for them cannot use the stored sums of whole days."""


class Span(NamedTuple):
    """A span of time from `start` up to, but not including, `end`, in microseconds."""

    start: int
    end: int


class Calendar:
    """The calendar of a time zone. A day on which the clock changes has, for example, 23 or 25 hours."""

    def __init__(self, timezone: str) -> None:
        self.timezone = timezone
        self._zone = ZoneInfo(timezone)
        self.day_of = lru_cache(INSTANTS_REMEMBERED)(self._day_of)
        self.month_of = lru_cache(INSTANTS_REMEMBERED)(self._month_of)

    def local(self, instant: int) -> datetime:
        """Return the local time of an instant."""
        return to_datetime(instant).astimezone(self._zone)

    def next_day(self, day: int) -> int:
        """Return the start of the next day. `day` is the instant at which a day begins."""
        return self.midnight(self.local(day).date() + timedelta(days=1))

    def next_month(self, month: int) -> int:
        """Return the start of the next month. `month` is the instant at which a month begins."""
        return self.midnight(_following_month(self.local(month).date()))

    def spans(self, period: Period, since: int, until: int) -> Iterator[Span]:
        """Yield the periods from `since` to `until`.

        The first period starts at `since`, and the last period ends at `until`.
        """
        start = since
        while start < until:
            end = min(until, self._end(period, start, until))
            yield Span(start, end)
            start = end

    def _end(self, period: Period, instant: int, until: int) -> int:
        """Return the end of the period that contains an instant."""
        if period == Period.TOTAL:
            return until
        if period in SHORT:
            length = BUCKET if period == Period.QUARTER else HOUR
            offset = from_datetime(self.local(instant).replace(tzinfo=to_datetime(0).tzinfo)) - instant
            return instant + length - (instant + offset) % length
        day = self.local(instant).date()
        if period == Period.MONTH:
            return self.midnight(_following_month(day))
        days = 1 if period == Period.DAY else 7 - day.weekday()
        return self.midnight(day + timedelta(days=days))

    def _day_of(self, instant: int) -> int:
        """Return the start of the day that contains an instant."""
        return self.midnight(self.local(instant).date())

    def _month_of(self, instant: int) -> int:
        """Return the start of the month that contains an instant."""
        return self.midnight(self.local(instant).date().replace(day=1))

    def midnight(self, day: date) -> int:
        """Return the instant at which a day begins."""
        return from_datetime(datetime.combine(day, time(), self._zone))


def _following_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
