"""Stores the results of the last batches, and tests whether a batch can be written now. `/readyz` reports both.

A batch is one transaction with the changes of many calls. A probe is a small batch that only tests whether writing
works. No caller waits for a probe.
"""

import sqlite3
from collections.abc import Callable
from threading import Lock
from time import monotonic

from governance.domain.errors import Unavailable
from governance.storage.sqlite.errors import PRIMARY
from governance.storage.sqlite.writer.unit_of_work import SqliteUnitOfWork

REMEMBERED = 10.0
"""The number of seconds for which a failed batch is reported, unless a batch with callers was written since.

A successful probe does not end the report. A probe is smaller than other batches, so it may succeed on a disk that is
too full for them.
"""
FRESH = 1.0
"""For this many seconds after a write or a probe, no new probe is made."""
PATIENCE = 0.8
"""The longest time in seconds that a probe may take."""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
STUCK = "Try again shortly: nothing can be written, another process or the disk keeps the writer waiting."
UNFORESEEN = "Look into the log: an attempt to write failed in a way that nobody foresaw."


class OverdueError(Unavailable):
    """An act has not ended by its caller's deadline."""


class WriterHealth:
    """The results of the last batches of this process."""

    def __init__(self, timer: Callable[[], float] = monotonic) -> None:
        self._timer = timer
        self._written_at: float | None = None
        self._failed_at = 0.0
        self._error: Unavailable | None = None
        self._lasts = False

    def written(self, *, for_callers: bool) -> None:
        """Record that a batch was written.

        A batch without callers does not clear the failure of a batch with callers.
        """
        self._written_at = self._timer()
        if for_callers:
            self._error = None

    def failed(self, error: Unavailable, cause: BaseException) -> None:
        """Record that a batch was rolled back.

        Damage to the file is reported until a batch with callers is written again.
        """
        self._error, self._failed_at = error, self._timer()
        self._lasts = getattr(cause, "sqlite_errorcode", 0) & PRIMARY in DAMAGE

    def is_fresh(self) -> bool:
        """Return whether a batch was written in the last `FRESH` seconds."""
        return self._written_at is not None and self._timer() - self._written_at < FRESH

    def fault(self) -> str | None:
        """Return why a batch failed, if the failure must still be reported. Otherwise return None."""
        error = self._error
        counts = error is not None and (self._lasts or self._timer() - self._failed_at < REMEMBERED)
        return error.message if error is not None and counts else None


class WriteProbe:
    """Tests whether decisions on calls can be written.

    `attempt` writes one row. Its argument is the instant at which it must give up, in seconds of the timer. Only one
    probe runs at a time. No probe is made if a batch was written or another probe was made in the last second, or if a
    failed batch must still be reported.
    """

    def __init__(
        self, fate: WriterHealth, attempt: Callable[[float], object], timer: Callable[[], float] = monotonic
    ) -> None:
        self._fate = fate
        self._attempt = attempt
        self._timer = timer
        self._lock = Lock()
        self._tried_at: float | None = None
        self._found: str | None = None

    def fault(self) -> str | None:
        """Return why nothing can be written now, or None if writing works. This takes less than a second."""
        fault = self._fate.fault()
        if fault is not None or self._fate.is_fresh():
            return fault
        if not self._lock.acquire(timeout=PATIENCE):
            return STUCK
        try:
            if self._tried_at is None or self._timer() - self._tried_at >= FRESH:
                self._found, self._tried_at = self._try(), self._timer()
            return None if self._fate.is_fresh() else self._found
        finally:
            self._lock.release()

    def _try(self) -> str | None:
        try:
            self._attempt(self._timer() + PATIENCE)
        except OverdueError:
            return STUCK
        except Unavailable as error:
            return error.message
        except Exception:  # noqa: BLE001 - the writer has logged it; nothing was written
            return UNFORESEEN
        return None


def touch(batch: SqliteUnitOfWork) -> None:
    """Write only the time of this batch. This is the act of a probe."""
    batch.touch()
