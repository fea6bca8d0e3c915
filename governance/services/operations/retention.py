"""What a worker does beside serving: what is old leaves, and pages that became free are given back."""

from governance.domain.times import DAY, MINUTE, Clock
from governance.storage.sqlite.retention import pruning
from governance.storage.sqlite.retention.slices import Slices

CLOSED_COUNTERS_KEPT = 90 * DAY
ANSWERS_KEPT = DAY
EVERY = MINUTE


class Retention:
    """Prunes once a minute; `retention` (microseconds) is how long reservations stay.

    The clock must not jump: what was dropped does not come back with it.
    """

    def __init__(self, slices: Slices, clock: Clock, retention: int) -> None:
        self._slices = slices
        self._clock = clock
        self._retention = retention
        self._last = 0

    def stop(self) -> None:
        """Have a round that is under way end soon, and begin no other."""
        self._slices.stop()

    def due(self) -> None:
        """Prune, where the last time is long enough ago (or the clock has stepped back). Raises Unavailable."""
        now = self._clock()
        if not self._last <= now < self._last + EVERY:
            self._last = now
            self.prune(now)

    def prune(self, now: int) -> None:
        """Drop what is older than it is kept. Raises Unavailable."""
        self._slices.do(
            pruning.EndedReservations(now - self._retention),
            pruning.ClosedCounters(now - CLOSED_COUNTERS_KEPT),
            pruning.OldAnswers(now - ANSWERS_KEPT),
            pruning.AnswersBefore0007(now - ANSWERS_KEPT),
            pruning.UnusedAnswerTexts(),
            pruning.FreePages(),
        )
