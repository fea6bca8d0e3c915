"""Retention: deletes old rows and returns free pages to the disk."""

from governance.domain.times import DAY, MINUTE, Clock
from governance.storage.sqlite.retention import pruning
from governance.storage.sqlite.retention.slices import Slices

CLOSED_COUNTERS_KEPT = 90 * DAY
ANSWERS_KEPT = DAY
EVERY = MINUTE


class Retention:
    """Prunes once a minute; `retention` (microseconds) is how long reservations stay.

    The clock must not jump, because deleted rows do not come back.
    """

    def __init__(self, slices: Slices, clock: Clock, retention: int) -> None:
        self._slices = slices
        self._clock = clock
        self._retention = retention
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
        """Delete the rows that are older than their retention. Raises Unavailable."""
        self._slices.do(
            pruning.EndedReservations(now - self._retention),
            pruning.ClosedCounters(now - CLOSED_COUNTERS_KEPT),
            pruning.OldAnswers(now - ANSWERS_KEPT),
            pruning.AnswersBefore0007(now - ANSWERS_KEPT),
            pruning.UnusedAnswerTexts(),
            pruning.FreePages(),
        )
