"""Runs pruning (the deletion of old rows) in slices, with pauses in between so that other writers get the lock.

A slice is one transaction of a few milliseconds.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from time import perf_counter

from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.errors import unavailable
from governance.storage.sqlite.locks.writer_lock import WriterLock, only_one
from governance.storage.sqlite.retention.pruning import PruningTask

WANTED = 0.008
"""The number of seconds for which a slice should hold the writer lock. The requirement is at most 0.02."""
REST = 2
"""The pause after a slice is this many times as long as the slice. So pruning holds the lock for at most a third of the
time."""
SMALLEST, LARGEST = 10, 5000
FIRST = 100


class SliceSize:
    """The number of rows in a slice.

    After a slow slice the number is at most halved. After a fast slice it is at most doubled.
    """

    def __init__(self) -> None:
        self.rows = FIRST

    def adapt(self, seconds: float) -> None:
        """Adapt the number of rows to the time in seconds that the last slice took."""
        factor = min(2.0, max(0.5, WANTED / max(seconds, WANTED / 100)))
        self.rows = min(LARGEST, max(SMALLEST, int(self.rows * factor)))


class Slices:
    """Runs pruning tasks slice by slice on one database file. Only one worker does this at a time."""

    def __init__(
        self,
        path: Path,
        busy_timeout: float,
        *,
        timer: Callable[[], float] = perf_counter,
        rest: Callable[[float], object] | None = None,
    ) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._timer = timer
        self._stopped = Event()
        self._rest = rest or self._stopped.wait

    def stop(self) -> None:
        """Tell the thread that runs `do` to end after its current slice."""
        self._stopped.set()

    def do(self, *works: PruningTask) -> None:
        """Run all tasks. Do nothing if another worker is running its tasks now. Raises Unavailable."""
        try:
            with only_one(self._path) as mine:
                if mine:
                    self._all(works)
        except (sqlite3.Error, OSError) as error:
            raise unavailable(error, self._path) from error

    def _all(self, works: tuple[PruningTask, ...]) -> None:
        with closing(WriterLock(self._path)) as lock, closing(open_file(self._path, self._busy_timeout)) as connection:
            # SQLite must not run a checkpoint during a slice, because it took 10 ms while the lock was held. So `_one`
            # runs the checkpoint after it has released the lock.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            for work in works:
                work.look(connection)
                self._one(work, connection, lock)

    def _one(self, work: PruningTask, connection: sqlite3.Connection, lock: WriterLock) -> None:
        size, more = SliceSize(), True
        while more and not self._stopped.is_set():
            with lock:
                began = self._timer()
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    more = work.step(connection, size.rows)
                seconds = self._timer() - began
            size.adapt(seconds)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._rest(REST * seconds)
