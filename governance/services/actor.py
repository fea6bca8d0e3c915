"""Stores who makes a change, for the audit log.

The HTTP layer or the command sets the actor, and the write reads it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SERVICE = "service"
"""The actor if none is set: the service itself, for example for the first key of a new database."""

_actor: ContextVar[str] = ContextVar("actor", default=SERVICE)


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Set the actor (`key:<id>`, `command:<name>` or `file:<name>`) for the block.

    Restore the previous one at its end.
    """
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


current = _actor.get
"""Return the current actor."""
