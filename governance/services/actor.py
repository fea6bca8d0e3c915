"""Remembers who makes a change (the actor), for the audit log.

The HTTP layer or a command sets the actor. The code that writes the audit log reads it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SERVICE = "service"
"""The actor if nobody set one: the service itself, for example when it creates the first key of a new database."""

_actor: ContextVar[str] = ContextVar("actor", default=SERVICE)


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Set the actor (`key:<id>`, `command:<name>` or `file:<name>`) inside the `with` block.

    After the block, the previous actor is set again.
    """
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


current = _actor.get
"""Return the current actor."""
