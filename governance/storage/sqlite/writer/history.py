"""Adds the usage of calls to the buckets of the usage history, in the transaction of their batch.

A batch consists of the calls that share one transaction. A series is a combination of provider, model, virtual key and
user. A bucket contains the usage of one series in 15 minutes, so a batch changes few buckets. Each changed bucket is
written once per batch. A worker caches the ids of the series that it has used. It reads the id of a series from the
database when it uses the series for the first time in a day.
"""

import sqlite3
from collections import defaultdict
from typing import NamedTuple

from governance.domain.history.calendar import Calendar
from governance.domain.history.usage import NOTHING, REST, Series, UsageAmounts, bucket_of
from governance.domain.times import DAY
from governance.storage.history.sums import LARGEST

AMOUNTS = ", ".join(UsageAmounts._fields)
ADDED = ", ".join(f"{name} = min({name} + excluded.{name}, {LARGEST})" for name in UsageAmounts._fields)
ADD = f"""
    INSERT INTO {{}} (start, series_id, {AMOUNTS}) VALUES (?, ?{", ?" * len(UsageAmounts._fields)})
    ON CONFLICT (start, series_id) DO UPDATE SET {ADDED}"""  # noqa: S608
GET_SERIES = "SELECT id FROM usage_series WHERE provider = ? AND model = ? AND virtual_key_id = ? AND user_id = ?"
ADD_SERIES = "INSERT INTO usage_series (provider, model, virtual_key_id, user_id) VALUES (?, ?, ?, ?)"
IS_APART = "SELECT 1 FROM usage_series_days WHERE day = ? AND series_id = ?"
KEEP_APART = """
    INSERT INTO usage_series_days SELECT ?, ?
    WHERE (SELECT count(*) FROM usage_series_days WHERE day = ?) < ?"""
BUCKETS_SINCE = "SELECT buckets_since FROM usage_bounds"
CORRECTED = """
    UPDATE usage_sums SET is_current = FALSE, generation = generation + 1 WHERE period = ? AND start = ?"""
MOST_REMEMBERED = 65_536
Row = tuple[int, ...]
"""The start of a bucket, the series, and the amounts."""


class HistoryOptions(NamedTuple):
    """The calendar by which usage is summed over days and months, and a bound for each UTC day.

    `most_series` is the largest number of series that may have separate buckets in a UTC day. All other series of the
    day share the buckets of the series `REST`.
    """

    calendar: Calendar
    most_series: int


USUAL_HISTORY = HistoryOptions(Calendar("UTC"), 10_000)


class SeriesCache:
    """A cache of the ids of series, for one connection. Its keys are (UTC day, series).

    The ids come from committed batches only. The cache is emptied each day. A series with a bucket of today stays in
    the database for weeks, so its id stays valid.
    """

    def __init__(self) -> None:
        self._day = 0
        self._known: dict[tuple[int, Series], int] = {}

    def get(self, day: int, series: Series) -> int | None:
        """Return the id of the series whose buckets get the usage of `series` on a day. Return None if it is not known.

        This is `series` itself, or the series `REST`.
        """
        return self._known.get((day, series))

    def learn(self, found: dict[tuple[int, Series], int], today: int) -> None:
        """Add the ids that a batch has looked up. This must be called after all rows of the batch were written."""
        if today != self._day or len(self._known) > MOST_REMEMBERED:
            self._day, self._known = today, {}
        self._known.update(found)


class PendingHistory:
    """The usage that a batch adds, by bucket and series."""

    def __init__(self, connection: sqlite3.Connection, known: SeriesCache, options: HistoryOptions, now: int) -> None:
        self._execute = connection.execute
        self._executemany = connection.executemany
        self._known = known
        self._options = options
        self._now = now
        self._added: defaultdict[tuple[int, Series], UsageAmounts] = defaultdict(lambda: NOTHING)
        self._found: dict[tuple[int, Series], int] = {}

    def add(self, admitted_at: int, series: Series, more: UsageAmounts) -> None:
        """Add usage to the bucket of the time at which a call was admitted. A correction of usage may be negative."""
        if any(more):
            key = bucket_of(admitted_at), series
            self._added[key] = self._added[key].plus(more)

    def flush(self) -> None:
        """Write each changed bucket once."""
        if not self._added:
            return
        rows, today = self._rows(), self._options.calendar.day_of(self._now)
        if any(start < today for start, *_ in rows):
            rows = self._without_sums(rows, today)
        self._executemany(ADD.format("usage_buckets"), rows)

    def done(self) -> None:
        """Move the ids that were looked up to the cache.

        This must be called after all rows of the batch were written.
        """
        if self._found:
            self._known.learn(self._found, self._now // DAY)

    def _rows(self) -> list[Row]:
        """Return (start, series id, amounts) for each bucket. Series without separate buckets share a bucket."""
        sums: defaultdict[tuple[int, int], UsageAmounts] = defaultdict(lambda: NOTHING)
        for (start, series), more in self._added.items():
            key = start, self._series_id(start // DAY, series)
            sums[key] = sums[key].plus(more)
        return [(*key, *more) for key, more in sums.items()]

    def _series_id(self, day: int, series: Series) -> int:
        known = self._known.get(day, series) or self._found.get((day, series))
        if known is None:
            own = self._id(series)
            known = own if self._is_apart(day, own) else self._id(REST)
            self._found[day, series] = known
        return known

    def _id(self, series: Series) -> int:
        found = self._execute(GET_SERIES, series).fetchone()
        return int(found[0] if found else self._execute(ADD_SERIES, series).lastrowid or 0)

    def _is_apart(self, day: int, series_id: int) -> bool:
        """Return whether a series has separate buckets on a day.

        At its first use on that day, a series gets separate buckets if fewer than `most_series` series have them.
        """
        if self._execute(IS_APART, (day, series_id)).fetchone():
            return True
        return self._execute(KEEP_APART, (day, series_id, day, self._options.most_series)).rowcount == 1

    def _without_sums(self, rows: list[Row], today: int) -> list[Row]:
        """Correct the sums of earlier days and months. Return the rows that must be added to buckets.

        For a row of an earlier day, the sum of its month is marked as not current. If its bucket is still stored, the
        sum of its day is marked as not current too. If its bucket may have been deleted, the row is added to the sum of
        its day instead, and is not returned.
        """
        calendar, since = self._options.calendar, self._execute(BUCKETS_SINCE).fetchone()[0]
        late = [row for row in rows if row[0] < today]
        gone = [row for row in late if row[0] < since]
        self._executemany(ADD.format("usage_days"), [(calendar.day_of(start), *rest) for start, *rest in gone])
        days = {("day", calendar.day_of(start)) for start, *_ in late if start >= since}
        self._executemany(CORRECTED, sorted(days | {("month", calendar.month_of(start)) for start, *_ in late}))
        return [row for row in rows if row[0] >= since]
