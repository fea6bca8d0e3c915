"""API keys of the management API, and virtual keys of the gateway: what is kept of a secret, and what it may do."""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from math import inf
from typing import NamedTuple

API_KEY_PREFIX = "gov-"
SHORTEST_SECRET = 43
"""256 bits take as many characters of base64."""
VIRTUAL_KEY_PREFIX = "sk-gov-"
SHOWN = 12


class KeyScope(StrEnum):
    """What an API key may do (SPEC §2)."""

    READ = "read"
    WRITE = "write"
    METER = "meter"
    ADMIN = "admin"


GRANTS = {
    KeyScope.READ: frozenset({KeyScope.READ}),
    KeyScope.WRITE: frozenset({KeyScope.READ, KeyScope.WRITE}),
    KeyScope.METER: frozenset({KeyScope.METER}),
    KeyScope.ADMIN: frozenset(KeyScope),
}


@cache
def granted(held: tuple[str, ...]) -> frozenset[KeyScope]:
    """All that the scopes of a key grant."""
    return frozenset[KeyScope]().union(*(GRANTS[KeyScope(scope)] for scope in held))


class ApiKey(NamedTuple):
    """An API key as it is stored: never the key itself. Instants in microseconds."""

    id: str
    name: str
    key_prefix: str
    digest: str
    scopes: tuple[str, ...]
    expires_at: int | None
    last_used_at: int | None
    created_at: int

    def live(self, now: int) -> bool:
        """Whether the key has not expired."""
        return self.expires_at is None or now < self.expires_at

    def may(self, scope: KeyScope) -> bool:
        """Whether one of the key's scopes grants what a call needs."""
        return scope in granted(self.scopes)


def is_last_admin(key: ApiKey, others: Iterable[ApiKey], now: int) -> bool:
    """Whether nobody could administer for as long without this key: every other admin key expires before it."""
    admins = (other for other in others if other.id != key.id and other.may(KeyScope.ADMIN))
    return key.may(KeyScope.ADMIN) and key.live(now) and all(_end(other) < _end(key) for other in admins)


def _end(key: ApiKey) -> float:
    return inf if key.expires_at is None else key.expires_at


class VirtualKey(NamedTuple):
    """A gateway's key, to which limits can be bound. Only the digest of its value is kept."""

    id: str
    name: str
    description: str | None
    digest: str
    value_prefix: str
    is_active: bool
    calendar_aligned: bool
    expires_at: int | None
    created_at: int
    updated_at: int


class User(NamedTuple):
    """A name for a user id; limits on the id do not depend on it."""

    id: str
    name: str
    created_at: int
    updated_at: int


def is_api_key(text: str) -> bool:
    """Whether a text has the form of an API key that was minted."""
    rest = text.removeprefix(API_KEY_PREFIX)
    return rest != text and len(rest) >= SHORTEST_SECRET and rest.isascii() and rest.isprintable() and " " not in rest


def digest(secret: str) -> str:
    """The SHA-256 of a secret in lower-case hex: enough to recognise 256 random bits, useless to guess them."""
    return hashlib.sha256(secret.encode()).hexdigest()


def shown_prefix(secret: str) -> str:
    """As much of a secret as may be shown to recognise it: never more than a quarter."""
    return secret[: min(SHOWN, len(secret) // 4)]
