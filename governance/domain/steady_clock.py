"""A clock that ignores a jump of the machine's clock until the machine's clock has run steadily for a while.

A machine's clock may be ahead for a minute by mistake. Decisions about calls use the machine's clock anyway, because
time windows follow it. Expiry and deletion use the clock of this file, because nobody can undo them when the machine's
clock goes back.
"""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from governance.domain.times import SECOND, Clock

SLACK = SECOND
"""Between two readings, the advance of the clock and the advance of the timer may differ by this many microseconds.

In addition, a difference of a thousandth of the time between the readings is allowed. The timer is a clock that only
counts seconds and never jumps.
"""


class ClockReading(NamedTuple):
    """The values that the clock and the timer showed at the same moment, in microseconds."""

    clock: int
    timer: int


def agree(before: ClockReading, after: ClockReading) -> bool:
    """Return whether clock and timer have advanced by nearly equal amounts between two readings."""
    passed = after.timer - before.timer
    return abs(after.clock - before.clock - passed) <= SLACK + abs(passed) // 1000


class SteadyClock:
    """Returns the time of a clock.

    After the clock has jumped, this object returns the time without the jump until the clock can be trusted again.
    `look` compares the clock with the timer. If they agree for at least `least` seconds, the clock is trusted. For the
    first `least` seconds after the start, the time is 0, so that nothing expires.
    """

    def __init__(self, clock: Clock, timer: Callable[[], float], least: float) -> None:
        self._clock = clock
        self._timer = timer
        self._least = int(least * SECOND)
        self._lock = Lock()
        self._believed: ClockReading | None = None
        self._seen = self._read()

    def __call__(self) -> int:
        """Return microseconds since 1970, or 0 while the clock is not trusted yet."""
        now = self._read()
        with self._lock:
            believed = self._believed or self._steady_reading(now)
        if believed is None:
            return 0
        return now.clock if agree(believed, now) else believed.clock + now.timer - believed.timer

    def look(self) -> None:
        """Compare clock and timer with the last stored reading. A caller must call this method regularly."""
        now = self._read()
        with self._lock:
            if not agree(self._seen, now):
                self._seen = now
            elif now.timer - self._seen.timer >= self._least:
                self._believed = self._seen = now

    def _steady_reading(self, now: ClockReading) -> ClockReading | None:
        """Return the last stored reading if the clock has run steadily since then, for at least `least` seconds.

        Otherwise return None.
        """
        steady = agree(self._seen, now) and now.timer - self._seen.timer >= self._least
        return self._seen if steady else None

    def _read(self) -> ClockReading:
        return ClockReading(self._clock(), int(self._timer() * SECOND))
