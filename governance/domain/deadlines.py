"""Computes the deadline of a request: the time at which the request must stop waiting for the database.

The deadline is measured from the instant at which the request was completely received, even if a thread handles the
request later.
"""

from contextvars import ContextVar
from time import monotonic

_came_at: ContextVar[float | None] = ContextVar("came_at", default=None)


def note_arrival(instant: float | None) -> None:
    """Store the instant at which this thread's request was completely received, in seconds of the monotonic clock.

    If `instant` is None, each deadline is measured from the call of `deadline`.
    """
    _came_at.set(instant)


def deadline(patience: float) -> float:
    """Return the time at which this thread's request must stop waiting, in seconds of the monotonic clock.

    `patience` is the longest wait in seconds. All queues in which one request waits use the same deadline.
    """
    came_at = _came_at.get()
    return (monotonic() if came_at is None else came_at) + patience
