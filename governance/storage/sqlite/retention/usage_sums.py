"""Sums the buckets of usage over closed days and months, and deletes rows that are too old.

A sum is computed without the writer lock, so a late correction may change its buckets meanwhile. Therefore each closed
day and month has a mark with a generation (`OpenSums` adds it), and a late correction raises the generation. After the
last row of a sum is written, the mark becomes current, unless its generation has changed since the sum was computed.
Then the next round computes the sum again. Readers use a sum only if its mark is current. Otherwise they read buckets.
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
"""The time in microseconds after the end of a day at which the day is summed. By then most calls are settled."""
MOST_DAYS = 3
"""The largest number of days or months that one round sums."""
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
    """The sum of a period, and the generation of its mark when the sum was read."""

    start: int
    generation: int
    rows: list[tuple[int, ...]]


def closed_days(calendar: Calendar, first: int, now: int) -> Iterator[int]:
    """Yield the start of each day, from the day of `first` to the last day that ended an hour or more ago."""
    day = calendar.day_of(first)
    while calendar.next_day(day) <= now - SETTLING:
        yield day
        day = calendar.next_day(day)


def open_days(connection: sqlite3.Connection, calendar: Calendar, begin: int, end: int) -> Iterator[int]:
    """Yield the days from `begin` up to, but not including, `end` that have buckets and no current sum."""
    first = connection.execute(FIRST_BUCKET).fetchone()[0]
    current = {start for start, _, is_current in connection.execute(MARKS, ("day",)) if is_current}
    day = end if first is None else calendar.day_of(max(begin, first))
    while day < end:
        after = calendar.next_day(day)
        if day not in current and _has_buckets(connection, day, after):
            yield day
        day = after


class OpenSums:
    """Marks the closed days that have buckets, and their months, as not summed yet."""

    def __init__(self, calendar: Calendar, now: int) -> None:
        self._calendar = calendar
        self._now = now
        self._marks: list[tuple[str, int, str]] = []

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the days that have no mark, without the writer lock."""
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
        """Write the next marks."""
        now, self._marks = self._marks[:most], self._marks[most:]
        connection.executemany(MARK, now)
        return bool(self._marks)


class ClosedPeriods:
    """Writes the sums of marked days from buckets, or the sums of marked months from days."""

    def __init__(self, period: str, calendar: Calendar) -> None:
        self._period = period
        self._calendar = calendar
        self._end = calendar.next_day if period == "day" else calendar.next_month
        self._source, self._target = SOURCES[period]
        self._sums: list[Sum] = []

    def look(self, connection: sqlite3.Connection) -> None:
        """Compute sums, without the writer lock. A month waits until all its days are current."""
        marks = connection.execute(MARKS, (self._period,)).fetchall()
        for start, generation, is_current in marks:
            if not is_current and len(self._sums) < MOST_DAYS and self._is_ready(connection, start):
                self._sums.append(Sum(start, generation, self._rows(connection, start)))

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Write the next rows of a sum. When the last row is written, the sum is current."""
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
        """Return the sums of a period by series, each at most 2^62.

        SQLite's sum of integers fails beyond 2^63. Then the sums are computed with floats.
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

        `step` looks for days without a current sum. It holds the writer lock, so no correction comes in between.
        """

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next buckets.

        The first call deletes none. It stores the bound: a later correction of an older bucket changes the day's sum.
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
        """Do nothing, because the old sums are found through an index."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next rows."""
        dropped = [
            connection.execute(DROP.format(table), (self._before, most)).rowcount
            for table in ("usage_days", "usage_months")
        ]
        connection.execute("DELETE FROM usage_sums WHERE start < ?", (self._before,))
        return most in dropped


class OldSeries:
    """Prunes unused series, and the lists of the series that had buckets of their own on days that have none left."""

    def __init__(self, now: int) -> None:
        self._today = now // DAY
        self._first = (now - BUCKETS_KEPT) // DAY - 1
        self._ids: list[int] = []

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the series that no row uses."""
        self._ids = [row[0] for row in connection.execute(UNUSED_SERIES)]

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next series, except those that were used since yesterday."""
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
