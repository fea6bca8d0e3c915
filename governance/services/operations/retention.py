"""Deletes old rows, sums usage by day and month, and returns unused pages of the file to the disk.

A counter contains the usage of one rule of a limit in one time window.
"""

from governance.domain.history.calendar import Calendar
from governance.domain.times import DAY, HOUR, MINUTE, Clock
from governance.storage.sqlite.retention import pruning, usage_sums
from governance.storage.sqlite.retention.pruning import PruningTask
from governance.storage.sqlite.retention.slices import Slices

SHORT_WINDOWS_KEPT = 7 * DAY
"""The time in microseconds for which the counters of windows shorter than a day are kept."""
ANSWERS_KEPT = DAY
EVERY = MINUTE
EVERY_LONG = HOUR
"""The interval in microseconds at which whole tables are searched for old rows."""


class Retention:
    """Runs the tasks that sum usage and delete rows, once a minute. One run of these tasks is a round.

    The clock must not jump, because deleted rows do not come back. Reservations are kept for `retention` microseconds.
    Sums of usage, and the counters of windows of a day or longer, are kept for `history` microseconds.
    """

    def __init__(self, slices: Slices, clock: Clock, *, retention: int, history: int, calendar: Calendar) -> None:
        self._slices = slices
        self._clock = clock
        self._retention = retention
        self._history = history
        self._calendar = calendar
        self._last = self._last_long = 0

    def stop(self) -> None:
        """End the current round soon, and start no other round."""
        self._slices.stop()

    def due(self) -> None:
        """Run a round if the last round was at least a minute ago, or if the clock has been set back.

        Raises Unavailable.
        """
        now = self._clock()
        if not self._last <= now < self._last + EVERY:
            self._last = now
            is_long = not self._last_long <= now < self._last_long + EVERY_LONG
            self._last_long = now if is_long else self._last_long
            self._slices.do(*self._short_tasks(now), *(self._long_tasks(now) if is_long else ()))

    def prune(self, now: int) -> None:
        """Sum the usage of the days and months that have ended, and delete the rows that are too old.

        Raises Unavailable.
        """
        self._slices.do(*self._short_tasks(now), *self._long_tasks(now))

    def _short_tasks(self, now: int) -> tuple[PruningTask, ...]:
        """Return the tasks that find their rows through a key or an index."""
        calendar = self._calendar
        return (
            pruning.EndedReservations(now - self._retention),
            pruning.OldAnswers(now - ANSWERS_KEPT),
            pruning.AnswersBefore0007(now - ANSWERS_KEPT),
            pruning.UnusedAnswerTexts(),
            usage_sums.OpenSums(calendar, now),
            usage_sums.ClosedPeriods("day", calendar),
            usage_sums.ClosedPeriods("month", calendar),
            usage_sums.OldBuckets(calendar, now),
            usage_sums.OldSums(now - self._history),
            pruning.FreePages(),
        )

    def _long_tasks(self, now: int) -> tuple[PruningTask, ...]:
        """Return the tasks that read a whole table."""
        return (
            pruning.ClosedCounters(short=now - SHORT_WINDOWS_KEPT, long=now - self._history),
            usage_sums.OldSeries(now),
        )
