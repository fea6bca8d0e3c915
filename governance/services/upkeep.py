"""What a worker does beside serving: old rows leave, a slice at a time, and pages that became free are given back.

A slice is as large as fits into a few milliseconds of the writers' turn, and after each the thread rests for twice the
time that it took: so a third of the writers' time is the most that pruning gets, and as many slices are done as there
is to do. One worker prunes at a time.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from time import perf_counter

from governance.domain.times import DAY, MINUTE, Clock
from governance.storage import upkeep
from governance.storage.database import open_file
from governance.storage.turns import Turn, only_one
from governance.storage.upkeep import Work

CLOSED_COUNTERS_KEPT = 90 * DAY
ANSWERS_KEPT = DAY
EVERY = MINUTE
WANTED = 0.01
"""Seconds that a slice shall hold the writers' turn; 0.02 at most."""
REST = 2
SMALLEST, LARGEST = 10, 5000
FIRST = 100


class SliceSize:
    """How many rows a slice has: what took too long is halved, and it grows to at most the double at a time."""

    def __init__(self) -> None:
        self.rows = FIRST

    def adapt(self, seconds: float) -> None:
        """Learn from how long a slice took."""
        factor = min(2.0, max(0.5, WANTED / max(seconds, WANTED / 100)))
        self.rows = min(LARGEST, max(SMALLEST, int(self.rows * factor)))


class Upkeep:
    """Prunes once a minute; `retention` (microseconds) is how long reservations stay.

    The clock must not jump: what was dropped does not come back with it.
    """

    def __init__(
        self,
        path: Path,
        busy_timeout: float,
        clock: Clock,
        retention: int,
        *,
        timer: Callable[[], float] = perf_counter,
        rest: Callable[[float], object] | None = None,
    ) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._clock = clock
        self._retention = retention
        self._timer = timer
        self._stopped = Event()
        self._rest = rest or self._stopped.wait
        self._last = 0

    def stop(self) -> None:
        """Have a round that is under way end after its slice, and begin no other."""
        self._stopped.set()

    def due(self) -> None:
        """Prune, where the last time is long enough ago (or the clock has stepped back)."""
        now = self._clock()
        if not self._last <= now < self._last + EVERY:
            self._last = now
            self.prune(now)

    def prune(self, now: int) -> None:
        """Drop what is older than it is kept, unless another worker is at it. Raises OSError, sqlite3.Error."""
        with only_one(self._path) as mine:
            if mine:
                self._all(
                    upkeep.EndedReservations(now - self._retention),
                    upkeep.ClosedCounters(now - CLOSED_COUNTERS_KEPT),
                    upkeep.OldAnswers(now - ANSWERS_KEPT),
                    upkeep.OlderAnswers(now - ANSWERS_KEPT),
                    upkeep.UnusedTexts(),
                    upkeep.FreePages(),
                )

    def _all(self, *works: Work) -> None:
        turn = Turn(self._path)
        with closing(turn), closing(open_file(self._path, self._busy_timeout)) as connection:
            for work in works:
                work.look(connection)
                self._one(work, connection, turn)

    def _one(self, work: Work, connection: sqlite3.Connection, turn: Turn) -> None:
        size, more = SliceSize(), True
        while more and not self._stopped.is_set():
            with turn:
                began = self._timer()
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    more = work.step(connection, size.rows)
                seconds = self._timer() - began
            size.adapt(seconds)
            self._rest(REST * seconds)
