"""On whose behalf something is done, for the audit: the edge says it around an act, and the write asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SERVICE = "service"
"""Who acts where nobody asked: the service itself, as with the first key of a new database."""

_actor: ContextVar[str] = ContextVar("actor", default=SERVICE)


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Do the block on behalf of `key:<id>`, `command:<name>` or `file:<name>`; afterwards all is as it was."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


current = _actor.get
"""Returns who is acting."""
