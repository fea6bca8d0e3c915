"""Who waits for the writers in this process, and since when nothing has been written.

A writer that is stuck must not take every thread of the worker with it: health checks and reads need some.
"""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from governance.domain.errors import Unavailable

STALLED = 1.0
"""Seconds without a write after which only half of the threads may wait."""
THREADS = 8


class WriterProgress:
    """Counts the threads that wait, each within `with progress:`; `threads` is how many the worker has."""

    def __init__(self, threads: int = THREADS, timer: Callable[[], float] = monotonic) -> None:
        self._most = max(1, threads // 2)
        self._timer = timer
        self._lock = Lock()
        self._waiting = 0
        self._since = timer()

    def __enter__(self) -> None:
        """Count this thread as one that waits. Raises Unavailable where too many wait for a writer that is stuck."""
        with self._lock:
            if self._waiting == 0:
                self._since = self._timer()
            elif self._waiting >= self._most and self.stalled() >= STALLED:
                raise self.refusal()
            self._waiting += 1

    def __exit__(self, *_: object) -> None:
        """Count it no more."""
        with self._lock:
            self._waiting -= 1

    def advanced(self) -> None:
        """Note that something was written."""
        self._since = self._timer()

    def is_crowded(self) -> bool:
        """Whether more threads wait for a writer that is stuck than may."""
        return self._waiting > self._most and self.stalled() >= STALLED

    def stalled(self) -> float:
        """For how many seconds somebody has waited while nothing was written."""
        return self._timer() - self._since if self._waiting else 0.0

    def refusal(self) -> Unavailable:
        """What those are told who may not wait."""
        return Unavailable(
            f"Try again shortly: nothing could be written for {self.stalled():.0f} s, and enough calls wait already."
        )
