"""The deadline of a request.

It is measured from the instant at which the request was completely received, even if a thread handles the request
later.
"""

from contextvars import ContextVar
from time import monotonic

_came_at: ContextVar[float | None] = ContextVar("came_at", default=None)


def note_arrival(instant: float | None) -> None:
    """Store the instant at which this thread's request was completely received, in seconds of the monotonic clock.

    None means now.
    """
    _came_at.set(instant)


def deadline(patience: float) -> float:
    """Return when this thread's request must stop waiting, in seconds of the monotonic clock.

    All queues use the same deadline.
    """
    came_at = _came_at.get()
    return (monotonic() if came_at is None else came_at) + patience
