"""Finds a virtual key by the secret value that a client sends, for operations that reserve nothing."""

from sqlalchemy.engine import Connection

from governance.domain import keys
from governance.domain.errors import Code, Forbidden, Unauthenticated
from governance.domain.keys import VirtualKey
from governance.domain.metering.decision import key_refusal
from governance.services.metering.match_cache import IS_API_KEY
from governance.storage.keys.virtual_keys import virtual_keys

UNKNOWN = "Send a virtual key that exists: this one is unknown."


def unknown(secret: str | None) -> Unauthenticated:
    """Return the error for an unknown virtual key."""
    is_api_key = secret is not None and secret.startswith(keys.API_KEY_PREFIX)
    return Unauthenticated(IS_API_KEY if is_api_key else UNKNOWN, code=Code.INVALID_VIRTUAL_KEY)


def usable_key(connection: Connection, secret: str, now: int) -> VirtualKey:
    """Return the virtual key with this value.

    Raises Unauthenticated if there is no such key, and Forbidden if the key may not be used.
    """
    key = virtual_keys.by_digest(connection, keys.digest(secret))
    if key is None:
        raise unknown(secret)
    refusal = key_refusal(key, now)
    if refusal is not None:
        raise Forbidden(refusal.message, code=refusal.code)
    return key
