"""Generates random ids and secrets. Services get all random values from here. Tests pass their own `RandomIds`."""

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
"""Random numbers for the next ids.

Each call of `os.urandom` releases the interpreter lock, and getting the lock back may take long. So one call draws 512
numbers.
"""
os.register_at_fork(after_in_child=_ahead.clear)


def _id() -> str:
    return str(uuid.uuid4())


def _secret() -> str:
    """Return a secret of 256 random bits, in 43 characters."""
    return secrets.token_urlsafe(32)


def _draw_ahead() -> None:
    """Draw 512 numbers of 80 random bits each. Nobody can guess them from other ids."""
    drawn = os.urandom(RANDOM_BYTES * DRAWN_AHEAD)
    _ahead.extend(int.from_bytes(drawn[at : at + RANDOM_BYTES]) for at in range(0, len(drawn), RANDOM_BYTES))


def _ordered_id(now: int) -> str:
    """Return a UUID of version 7 (RFC 9562).

    The UUID begins with the time in milliseconds. So a database index always adds new UUIDs at its end.
    """
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
    """Functions that generate random values.

    `new_id` returns a UUID. `new_ordered_id` takes the time in microseconds, and returns a UUID that sorts by time.
    `new_secret` returns a secret without a prefix.
    """

    new_id: Callable[[], str] = _id
    new_ordered_id: Callable[[int], str] = _ordered_id
    new_secret: Callable[[], str] = _secret
