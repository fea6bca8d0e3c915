"""Stores who makes a change, for the audit log. The HTTP layer or a command sets the actor, and the write reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SERVICE = "service"
"""The actor if none is set. Then the service itself makes the change, for example the first key of a new database."""

_actor: ContextVar[str] = ContextVar("actor", default=SERVICE)


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Set the actor (`key:<id>`, `command:<name>` or `file:<name>`) inside the block.

    Restore the previous actor at the end.
    """
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


current = _actor.get
"""Return the current actor."""
