"""Pruning's share of the writers' time: slices of a few milliseconds, each with a rest after it."""

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
"""Seconds that a slice shall hold the writers' turn; 0.02 at most."""
REST = 2
"""How many times as long as a slice took it rests: a third of the writers' time is the most that pruning gets."""
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


class Slices:
    """Does work slice by slice on one database file, in one worker at a time."""

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
        """Have what is under way end after its slice, and begin nothing else."""
        self._stopped.set()

    def do(self, *works: PruningTask) -> None:
        """Do all of it, unless another worker is at it. Raises Unavailable."""
        try:
            with only_one(self._path) as mine:
                if mine:
                    self._all(works)
        except (sqlite3.Error, OSError) as error:
            raise unavailable(error, self._path) from error

    def _all(self, works: tuple[PruningTask, ...]) -> None:
        with closing(WriterLock(self._path)) as lock, closing(open_file(self._path, self._busy_timeout)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # a checkpoint took 10 ms of the turn: see `_one`
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
