"""API keys for this service's HTTP API, virtual keys of the gateway, users, and the digest and prefix of a secret."""

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
    """Return the scopes in `held`, and all scopes that these include."""
    return frozenset[KeyScope]().union(*(GRANTS[KeyScope(scope)] for scope in held))


class ApiKey(NamedTuple):
    """A stored API key. It contains the digest of the secret, not the secret. Instants are in microseconds."""

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
    """Return whether a key is the last admin key: it has not expired, and all other admin keys expire before it."""
    admins = (other for other in others if other.id != key.id and other.may(KeyScope.ADMIN))
    return key.may(KeyScope.ADMIN) and key.live(now) and all(_end(other) < _end(key) for other in admins)


def _end(key: ApiKey) -> float:
    return inf if key.expires_at is None else key.expires_at


class VirtualKey(NamedTuple):
    """A virtual key of the gateway: the secret with which a client calls models.

    A limit can apply to one virtual key. Only the digest and the first characters of the secret are stored.
    """

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
    """A user: an id, and a name for it. Limits refer to the id, so they do not depend on the name."""

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
    """Return the first characters of a secret, which users may see: at most 12, and at most a quarter of the secret."""
    return secret[: min(SHOWN, len(secret) // 4)]
