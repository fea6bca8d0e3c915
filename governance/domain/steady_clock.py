"""A clock that is believed only once it has stood where it stands for a while: what it makes old cannot come back.

A machine's clock may jump ahead for a minute. Decisions follow it, as windows must; but a hold that expires and an
answer that is dropped are gone when it comes back.
"""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from governance.domain.times import SECOND, Clock

SLACK = SECOND
"""How far a clock and a timer may come apart between two readings, beside a thousandth of the time between them."""


class Reading(NamedTuple):
    """What a clock and a timer said at one instant, in microseconds."""

    clock: int
    timer: int


def agree(before: Reading, after: Reading) -> bool:
    """Whether the clock has run as the timer has between two readings."""
    passed = after.timer - before.timer
    return abs(after.clock - before.clock - passed) <= SLACK + abs(passed) // 1000


class SteadyClock:
    """Says the clock's time; after a jump the time without it, until two looks, `least` seconds apart, find it there.

    The timer (seconds) never jumps. For the first `least` seconds it says 0: nothing is old yet.
    """

    def __init__(self, clock: Clock, timer: Callable[[], float], least: float) -> None:
        self._clock = clock
        self._timer = timer
        self._least = int(least * SECOND)
        self._lock = Lock()
        self._believed: Reading | None = None
        self._seen = self._read()

    def __call__(self) -> int:
        """Microseconds since 1970."""
        now = self._read()
        with self._lock:
            believed = self._believed or self._standing(now)
        if believed is None:
            return 0
        return now.clock if agree(believed, now) else believed.clock + now.timer - believed.timer

    def look(self) -> None:
        """Compare with the last look: to be called now and then."""
        now = self._read()
        with self._lock:
            if not agree(self._seen, now):
                self._seen = now
            elif now.timer - self._seen.timer >= self._least:
                self._believed = self._seen = now

    def _standing(self, now: Reading) -> Reading | None:
        """A reading after which the clock has run steadily for long enough."""
        steady = agree(self._seen, now) and now.timer - self._seen.timer >= self._least
        return self._seen if steady else None

    def _read(self) -> Reading:
        return Reading(self._clock(), int(self._timer() * SECOND))
