"""Retention: deletes old rows and returns free pages to the disk."""

from governance.domain.history.calendar import Calendar
from governance.domain.times import DAY, MINUTE, Clock
from governance.storage.sqlite.retention import pruning, usage_sums
from governance.storage.sqlite.retention.slices import Slices

CLOSED_COUNTERS_KEPT = 90 * DAY
ANSWERS_KEPT = DAY
EVERY = MINUTE


class Retention:
    """Sums and prunes once a minute; `retention` (microseconds) is how long reservations stay, `history` how long sums.

    The clock must not jump, because deleted rows do not come back.
    """

    def __init__(self, slices: Slices, clock: Clock, *, retention: int, history: int, calendar: Calendar) -> None:
        self._slices = slices
        self._clock = clock
        self._retention = retention
        self._history = history
        self._calendar = calendar
        self._last = 0

    def stop(self) -> None:
        """End the current round soon and begin no other."""
        self._slices.stop()

    def due(self) -> None:
        """Prune if the last round is long enough ago or the clock has stepped back. Raises Unavailable."""
        now = self._clock()
        if not self._last <= now < self._last + EVERY:
            self._last = now
            self.prune(now)

    def prune(self, now: int) -> None:
        """Sum closed days and months, and delete the rows that are older than their retention. Raises Unavailable."""
        calendar = self._calendar
        self._slices.do(
            pruning.EndedReservations(now - self._retention),
            pruning.ClosedCounters(now - CLOSED_COUNTERS_KEPT),
            pruning.OldAnswers(now - ANSWERS_KEPT),
            pruning.AnswersBefore0007(now - ANSWERS_KEPT),
            pruning.UnusedAnswerTexts(),
            usage_sums.OpenSums(calendar, now),
            usage_sums.ClosedPeriods("day", calendar),
            usage_sums.ClosedPeriods("month", calendar),
            usage_sums.OldBuckets(calendar, now),
            usage_sums.OldSums(now - self._history),
            usage_sums.OldSeries(now),
            pruning.FreePages(),
        )
