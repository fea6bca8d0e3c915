"""The deadline of a request.

The time counts from when the request was received completely, not from when a thread took it.
"""

from contextvars import ContextVar
from time import monotonic

_came_at: ContextVar[float | None] = ContextVar("came_at", default=None)


def note_arrival(instant: float | None) -> None:
    """Note when this thread's request was received completely, in seconds of the monotonic clock. None means now."""
    _came_at.set(instant)


def deadline(patience: float) -> float:
    """Return when this thread's request must stop waiting, in seconds of the monotonic clock.

    All queues share the deadline.
    """
    came_at = _came_at.get()
    return (monotonic() if came_at is None else came_at) + patience
