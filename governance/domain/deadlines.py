"""Until when a call may wait: its time counts from when all of it had come, not from when a thread took it."""

from contextvars import ContextVar
from time import monotonic

_came_at: ContextVar[float | None] = ContextVar("came_at", default=None)


def note_arrival(instant: float | None) -> None:
    """Note when the call that this thread serves from now on had come (seconds of the monotonic clock); None: now."""
    _came_at.set(instant)


def deadline(patience: float) -> float:
    """Until when (seconds of the monotonic clock) this thread's call waits, in all queues together."""
    came_at = _came_at.get()
    return (monotonic() if came_at is None else came_at) + patience
