"""Limits how often an expensive result is computed when many clients request it."""

from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

Result = TypeVar("Result")

RECENT = 1.0
"""The number of seconds for which a result may be returned again."""


class Throttle(Generic[Result]):
    """Computes a result at most `most` times per second. All other calls get the last result."""

    def __init__(self, make: Callable[[], Result], most: int, timer: Callable[[], float] = monotonic) -> None:
        self._make = make
        self._timer = timer
        self._lock = Lock()
        self._made: deque[float] = deque(maxlen=most)
        self._results: deque[Result] = deque(maxlen=1)

    def get(self) -> Result:
        """Return the result.

        It is less than a second old. One thread computes it. Other threads wait only if there is no recent result.
        """
        began = self._timer()
        if not self._lock.acquire(blocking=not self._is_younger_than(began - RECENT)):
            return self._results[0]
        try:
            if not (self._is_younger_than(began) or self._is_spent(began)):
                self._results.append(self._make())
                self._made.append(self._timer())
            return self._results[0]
        finally:
            self._lock.release()

    def _is_younger_than(self, instant: float) -> bool:
        return bool(self._made) and self._made[-1] > instant

    def _is_spent(self, now: float) -> bool:
        return len(self._made) == self._made.maxlen and self._made[0] > now - RECENT
