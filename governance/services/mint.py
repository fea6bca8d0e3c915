"""Where ids and secrets come from: randomness enters the services here, and tests hand in their own."""

import os
import secrets
import uuid
from collections.abc import Callable
from random import Random
from typing import NamedTuple

MILLISECONDS = 2**48 - 1
RANDOM_TAIL = 2**62 - 1

_random = Random()  # noqa: S311 - see below
"""For ids that need be unique, not secret: `os.urandom` gives the interpreter lock away in the middle of a batch."""
os.register_at_fork(after_in_child=_random.seed)


def _id() -> str:
    return str(uuid.uuid4())


def _secret() -> str:
    """256 bits of randomness in 43 characters."""
    return secrets.token_urlsafe(32)


def _ordered_id(now: int) -> str:
    """A UUID of version 7: it begins with the time (milliseconds), so an index of them grows at its end (RFC 9562)."""
    random = _random.getrandbits(74)
    value = (now // 1000 & MILLISECONDS) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & RANDOM_TAIL
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Mint(NamedTuple):
    """Makes ids (UUIDs, also ordered by time in microseconds) and secrets (without their prefix)."""

    new_id: Callable[[], str] = _id
    new_ordered_id: Callable[[int], str] = _ordered_id
    new_secret: Callable[[], str] = _secret
