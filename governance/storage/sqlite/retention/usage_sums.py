"""Sums the usage history over days and months, and deletes the rows of the usage history that are too old.

A series is a combination of provider, model, virtual key and user. A bucket contains the usage of one series in 15
minutes. A day or month is closed when it ended an hour ago or earlier. The sum of a closed day or month contains one
row for each series.

A sum is computed without the writer lock. Meanwhile, a late correction of a call may change one of the buckets.
Therefore each closed day or month has a mark, which is a row in `usage_sums` with a number, the generation. A late
correction raises the generation. When the last row of a sum is written, the mark becomes current, but only if its
generation is still the same as before the sum was computed. If it is not, the next run computes the sum again. Readers
use a sum only if its mark is current. Otherwise they read the buckets.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from governance.domain.history.calendar import Calendar
from governance.domain.history.usage import UsageAmounts
from governance.domain.times import DAY, HOUR
from governance.storage.history.sums import LARGEST, is_overflow

BUCKETS_KEPT = 35 * DAY
SETTLING = HOUR
"""A day is summed when it ended this many microseconds ago. By then most of its calls have been charged."""
MOST_DAYS = 3
"""The largest number of days or months that are summed in one run."""
AMOUNTS = ", ".join(UsageAmounts._fields)
ADDED = ", ".join(f"{{add}}({name})" for name in UsageAmounts._fields)
FIRST_BUCKET = "SELECT min(start) FROM usage_buckets"
HAS_BUCKETS = "SELECT EXISTS (SELECT 1 FROM usage_buckets WHERE start >= ? AND start < ?)"
MARKS = "SELECT start, generation, is_current FROM usage_sums WHERE period = ?"
MARK = "INSERT OR IGNORE INTO usage_sums (period, start, timezone, generation, is_current) VALUES (?, ?, ?, 0, FALSE)"
SUM_OF = f"SELECT series_id, {ADDED} FROM {{table}} WHERE start >= ? AND start < ? GROUP BY series_id"  # noqa: S608
PUT = f"INSERT OR REPLACE INTO {{}} (start, series_id, {AMOUNTS}) VALUES (?, ?{', ?' * len(UsageAmounts._fields)})"  # noqa: S608
NOW_CURRENT = "UPDATE usage_sums SET is_current = TRUE WHERE period = ? AND start = ? AND generation = ?"
SOURCES = {"day": ("usage_buckets", "usage_days"), "month": ("usage_days", "usage_months")}
BOUND = "UPDATE usage_bounds SET buckets_since = max(buckets_since, ?)"
DROP = """
    DELETE FROM {0} WHERE (start, series_id) IN (SELECT start, series_id FROM {0} WHERE start < ? LIMIT ?)"""
UNUSED_SERIES = """
    SELECT id FROM usage_series WHERE id NOT IN (
        SELECT series_id FROM usage_buckets UNION SELECT series_id FROM usage_days
        UNION SELECT series_id FROM usage_months)"""
DROP_SERIES = """
    DELETE FROM usage_series WHERE id = ? AND id NOT IN (SELECT series_id FROM usage_series_days WHERE day >= ?)"""


class Sum(NamedTuple):
    """The sum of a day or month, and the generation of its mark before the sum was computed.

    `start` is the start of the day or month. Each of the `rows` contains the id of a series and its summed amounts.
    """

    start: int
    generation: int
    rows: list[tuple[int, ...]]


def closed_days(calendar: Calendar, first: int, now: int) -> Iterator[int]:
    """Yield the start of each closed day, beginning with the day that contains `first`."""
    day = calendar.day_of(first)
    while calendar.next_day(day) <= now - SETTLING:
        yield day
        day = calendar.next_day(day)


def open_days(connection: sqlite3.Connection, calendar: Calendar, begin: int, end: int) -> Iterator[int]:
    """Yield the start of each day from `begin` to before `end` that has buckets, but no current sum."""
    first = connection.execute(FIRST_BUCKET).fetchone()[0]
    current = {start for start, _, is_current in connection.execute(MARKS, ("day",)) if is_current}
    day = end if first is None else calendar.day_of(max(begin, first))
    while day < end:
        after = calendar.next_day(day)
        if day not in current and _has_buckets(connection, day, after):
            yield day
        day = after


class OpenSums:
    """Adds the missing marks of closed days that have buckets, and of their months. A new mark is not current."""

    def __init__(self, calendar: Calendar, now: int) -> None:
        self._calendar = calendar
        self._now = now
        self._marks: list[tuple[str, int, str]] = []

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the closed days and months that have no mark. The caller does not hold the writer lock."""
        first = connection.execute(FIRST_BUCKET).fetchone()[0]
        known = {period: {row[0] for row in connection.execute(MARKS, (period,))} for period in SOURCES}
        calendar = self._calendar
        for day in closed_days(calendar, first, self._now) if first is not None else ():
            month = calendar.month_of(day)
            if day not in known["day"] and _has_buckets(connection, day, calendar.next_day(day)):
                self._marks.append(("day", day, calendar.timezone))
            if month not in known["month"] and calendar.next_month(month) <= self._now - SETTLING:
                self._marks.append(("month", month, calendar.timezone))
                known["month"].add(month)

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Write the next marks. Return whether there are more."""
        now, self._marks = self._marks[:most], self._marks[most:]
        connection.executemany(MARK, now)
        return bool(self._marks)


class ClosedPeriods:
    """Computes the sums of marked days from their buckets, or the sums of marked months from their days."""

    def __init__(self, period: str, calendar: Calendar) -> None:
        self._period = period
        self._calendar = calendar
        self._end = calendar.next_day if period == "day" else calendar.next_month
        self._source, self._target = SOURCES[period]
        self._sums: list[Sum] = []

    def look(self, connection: sqlite3.Connection) -> None:
        """Compute sums. The caller does not hold the writer lock.

        A month is summed only when all its days have current sums.
        """
        marks = connection.execute(MARKS, (self._period,)).fetchall()
        for start, generation, is_current in marks:
            if not is_current and len(self._sums) < MOST_DAYS and self._is_ready(connection, start):
                self._sums.append(Sum(start, generation, self._rows(connection, start)))

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Write the next rows of a sum. After the last row, make its mark current. Return whether there is more."""
        if not self._sums:
            return False
        start, generation, rows = self._sums[0]
        now, rest = rows[:most], rows[most:]
        connection.executemany(PUT.format(self._target), [(start, *row) for row in now])
        self._sums[0] = Sum(start, generation, rest)
        if not rest:
            connection.execute(NOW_CURRENT, (self._period, start, generation))
            self._sums.pop(0)
        return bool(self._sums)

    def _rows(self, connection: sqlite3.Connection, start: int) -> list[tuple[int, ...]]:
        """Return the id and the summed amounts of each series in a day or month. Every sum is at most 2^62.

        SQLite's sum of integers fails above 2^63. If it fails, the sums are computed with floats.
        """
        span = start, self._end(start)
        try:
            found = connection.execute(SUM_OF.format(add="sum", table=self._source), span).fetchall()
        except sqlite3.OperationalError as error:
            if not is_overflow(error):
                raise
            found = connection.execute(SUM_OF.format(add="total", table=self._source), span).fetchall()
        return [(series_id, *(min(LARGEST, int(each)) for each in sums)) for series_id, *sums in found]

    def _is_ready(self, connection: sqlite3.Connection, start: int) -> bool:
        days = open_days(connection, self._calendar, start, self._end(start))
        return self._period == "day" or next(days, None) is None


class OldBuckets:
    """Prunes buckets that are older than 35 days and belong to days whose sums are current."""

    def __init__(self, calendar: Calendar, now: int) -> None:
        self._calendar = calendar
        self._before = calendar.day_of(now - BUCKETS_KEPT)
        self._is_bound = False

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing.

        `step` looks for days without a current sum, while the caller holds the writer lock. So no correction can come
        between this search and the storing of the bound.
        """

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next buckets. Return whether there may be more.

        The first call deletes nothing. It stores the bound `buckets_since`, which is the end of the time whose buckets
        are deleted. From then on, a correction of a bucket before the bound changes the sum of its day instead.
        """
        if not self._is_bound:
            self._before = next(open_days(connection, self._calendar, 0, self._before), self._before)
            self._is_bound = connection.execute(BOUND, (self._before,)).rowcount == 1
            return self._is_bound
        return connection.execute(DROP.format("usage_buckets"), (self._before, most)).rowcount == most


class OldSums:
    """Prunes sums of days and months, and their marks, when they are too old."""

    def __init__(self, before: int) -> None:
        self._before = before

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing, because `step` finds the old sums through an index."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next old sums, and all old marks. Return whether there may be more old sums."""
        dropped = [
            connection.execute(DROP.format(table), (self._before, most)).rowcount
            for table in ("usage_days", "usage_months")
        ]
        connection.execute("DELETE FROM usage_sums WHERE start < ?", (self._before,))
        return most in dropped


class OldSeries:
    """Prunes series that no row uses, and old rows of `usage_series_days`.

    The rows of `usage_series_days` say which series had separate buckets on a day. They are not needed any more when
    the buckets of the day are deleted.
    """

    def __init__(self, now: int) -> None:
        self._today = now // DAY
        self._first = (now - BUCKETS_KEPT) // DAY - 1
        self._ids: list[int] = []

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the series that no row uses."""
        self._ids = [row[0] for row in connection.execute(UNUSED_SERIES)]

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next old rows of `usage_series_days` and the next unused series. Return whether there may be more.

        A series that was used yesterday or today is kept.
        """
        gone = connection.execute(
            "DELETE FROM usage_series_days WHERE (day, series_id) IN (SELECT day, series_id FROM usage_series_days"
            " WHERE day < ? LIMIT ?)",
            (self._first, most),
        ).rowcount
        now, self._ids = self._ids[:most], self._ids[most:]
        connection.executemany(DROP_SERIES, [(series_id, self._today - 1) for series_id in now])
        return gone == most or bool(self._ids)


def _has_buckets(connection: sqlite3.Connection, start: int, end: int) -> bool:
    return bool(connection.execute(HAS_BUCKETS, (start, end)).fetchone()[0])
