"""Where ids and secrets come from: randomness enters the services here, and tests hand in their own."""

import os
import secrets
import uuid
from collections.abc import Callable
from typing import NamedTuple

MILLISECONDS = 2**48 - 1
RANDOM_TAIL = 2**62 - 1

RANDOM_BYTES = 10
DRAWN_AHEAD = 512

_ahead: list[int] = []
"""Random numbers for the next ids. `os.urandom` gives the interpreter lock away, so it is asked once for many."""
os.register_at_fork(after_in_child=_ahead.clear)


def _id() -> str:
    return str(uuid.uuid4())


def _secret() -> str:
    """256 bits of randomness in 43 characters."""
    return secrets.token_urlsafe(32)


def _draw_ahead() -> None:
    """Draw numbers of 80 random bits that nobody can guess, whatever others they have seen."""
    drawn = os.urandom(RANDOM_BYTES * DRAWN_AHEAD)
    _ahead.extend(int.from_bytes(drawn[at : at + RANDOM_BYTES]) for at in range(0, len(drawn), RANDOM_BYTES))


def _ordered_id(now: int) -> str:
    """A UUID of version 7: it begins with the time (milliseconds), so an index of them grows at its end (RFC 9562)."""
    while True:
        try:
            random = _ahead.pop() >> 6
            break
        except IndexError:
            _draw_ahead()
    value = (now // 1000 & MILLISECONDS) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & RANDOM_TAIL
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class RandomIds(NamedTuple):
    """Makes ids (UUIDs, also ordered by time in microseconds) and secrets (without their prefix)."""

    new_id: Callable[[], str] = _id
    new_ordered_id: Callable[[int], str] = _ordered_id
    new_secret: Callable[[], str] = _secret
