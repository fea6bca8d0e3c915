"""Where ids and secrets come from: randomness enters the services here, and tests hand in their own."""

import secrets
import uuid
from collections.abc import Callable
from typing import NamedTuple


def _id() -> str:
    return str(uuid.uuid4())


def _secret() -> str:
    """256 bits of randomness in 43 characters."""
    return secrets.token_urlsafe(32)


class Mint(NamedTuple):
    """Makes ids (UUIDs) and secrets (without their prefix)."""

    new_id: Callable[[], str] = _id
    new_secret: Callable[[], str] = _secret
