"""Counts the threads of this worker process that wait for a write, and measures how long nothing was written.

If the writer is stuck, not every thread of the worker may wait for it, because health checks and reads need threads
too.
"""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from governance.domain.errors import Unavailable

STALLED = 1.0
"""If nothing was written for this many seconds, only half of the threads may wait."""
THREADS = 8


class WriterProgress:
    """Counts the threads that wait for a write. Every thread waits inside `with progress:`.

    `threads` is the number of threads of the worker.
    """

    def __init__(self, threads: int = THREADS, timer: Callable[[], float] = monotonic) -> None:
        self._most = max(1, threads // 2)
        self._timer = timer
        self._lock = Lock()
        self._waiting = 0
        self._since = timer()

    def __enter__(self) -> None:
        """Count this thread as waiting. Raises Unavailable if too many threads already wait for a stuck writer."""
        with self._lock:
            if self._waiting == 0:
                self._since = self._timer()
            elif self._waiting >= self._most and self.stalled() >= STALLED:
                raise self.refusal()
            self._waiting += 1

    def __exit__(self, *_: object) -> None:
        """Stop counting this thread."""
        with self._lock:
            self._waiting -= 1

    def advanced(self) -> None:
        """Record that something was written."""
        self._since = self._timer()

    def is_crowded(self) -> bool:
        """Return whether too many threads wait for a stuck writer."""
        return self._waiting > self._most and self.stalled() >= STALLED

    def stalled(self) -> float:
        """Return the number of seconds for which threads have waited while nothing was written."""
        return self._timer() - self._since if self._waiting else 0.0

    def refusal(self) -> Unavailable:
        """Return the error for a caller that may not wait, because too many others wait already."""
        return Unavailable(
            f"Try again shortly: nothing could be written for {self.stalled():.0f} s, and enough calls wait already."
        )
