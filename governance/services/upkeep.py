"""What the poller does beside refreshing: old rows leave, a slice at a time, so that nobody waits long for the lock."""

from governance.domain.times import DAY, MINUTE, Clock
from governance.storage import upkeep
from governance.storage.database import Database

CLOSED_COUNTERS_KEPT = 90 * DAY
ANSWERS_KEPT = DAY
EVERY = MINUTE
SLICE = 200
MOST_SLICES = 50


class Upkeep:
    """Prunes at most once a minute in each worker; `retention` (microseconds) is how long reservations stay.

    The clock must not jump: what was dropped does not come back with it.
    """

    def __init__(self, database: Database, clock: Clock, retention: int) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention
        self._last = 0

    def due(self) -> None:
        """Prune, where the last time is long enough ago (or the clock has stepped back)."""
        now = self._clock()
        if not self._last <= now < self._last + EVERY:
            self._last = now
            self.prune(now)

    def prune(self, now: int) -> None:
        """Drop what is older than it is kept."""
        for _ in range(MOST_SLICES):
            with self._database.write() as connection:
                folded = upkeep.fold_reservations(connection, now - self._retention, SLICE)
                dropped = upkeep.drop_counters(connection, now - CLOSED_COUNTERS_KEPT, SLICE)
            if max(folded, dropped) < SLICE:
                break
        with self._database.write() as connection:
            upkeep.drop_answers(connection, now - ANSWERS_KEPT)
