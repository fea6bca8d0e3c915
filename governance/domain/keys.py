"""API keys of the management API, virtual keys of the gateway, and the stored forms of a secret."""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from math import inf
from typing import NamedTuple

API_KEY_PREFIX = "gov-"
SHORTEST_SECRET = 43
"""The length of 256 random bits in base64."""
VIRTUAL_KEY_PREFIX = "sk-gov-"
SHOWN = 12


class KeyScope(StrEnum):
    """What an API key may do (docs/contract.md §2)."""

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
    """Return all scopes that the scopes of a key include."""
    return frozenset[KeyScope]().union(*(GRANTS[KeyScope(scope)] for scope in held))


class ApiKey(NamedTuple):
    """A stored API key. It contains the digest of the key, not the key. Instants are in microseconds."""

    id: str
    name: str
    key_prefix: str
    digest: str
    scopes: tuple[str, ...]
    expires_at: int | None
    last_used_at: int | None
    created_at: int

    def live(self, now: int) -> bool:
        """Return whether the key has not expired."""
        return self.expires_at is None or now < self.expires_at

    def may(self, scope: KeyScope) -> bool:
        """Return whether one of the key's scopes includes the scope that a call needs."""
        return scope in granted(self.scopes)


def is_last_admin(key: ApiKey, others: Iterable[ApiKey], now: int) -> bool:
    """Return whether a key is the last admin key: all other admin keys expire before it."""
    admins = (other for other in others if other.id != key.id and other.may(KeyScope.ADMIN))
    return key.may(KeyScope.ADMIN) and key.live(now) and all(_end(other) < _end(key) for other in admins)


def _end(key: ApiKey) -> float:
    return inf if key.expires_at is None else key.expires_at


class VirtualKey(NamedTuple):
    """A virtual key of the gateway. It can be the scope of a limit. Only the digest of the key's value is stored."""

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
    """A name for a user id. Limits refer to the id, so they do not depend on the name."""

    id: str
    name: str
    created_at: int
    updated_at: int


def is_api_key(text: str) -> bool:
    """Return whether a text has the form of an API key that this service creates."""
    rest = text.removeprefix(API_KEY_PREFIX)
    return rest != text and len(rest) >= SHORTEST_SECRET and rest.isascii() and rest.isprintable() and " " not in rest


def digest(secret: str) -> str:
    """Return the SHA-256 digest of a secret in lower-case hex.

    Secrets have 256 random bits, so nobody can guess them from the digest.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def shown_prefix(secret: str) -> str:
    """Return the first characters of a secret, which users may see: 12 characters, or a quarter of a shorter secret."""
    return secret[: min(SHOWN, len(secret) // 4)]
