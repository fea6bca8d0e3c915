"""Authenticates API keys: looks for a key by its digest, first in the snapshot and then in the database.

The snapshot is this worker's copy of the database in memory. A poll is a regular check for changes in the database.
"""

from collections.abc import Sequence
from hmac import compare_digest
from threading import Lock

from cachetools import TTLCache

from governance.domain import keys
from governance.domain.errors import Code, Forbidden, Unauthenticated, Unavailable
from governance.domain.keys import ApiKey, KeyScope, granted
from governance.domain.times import Clock
from governance.snapshot.cache import SnapshotCache
from governance.storage.keys import api_keys
from governance.storage.store import Database

KEYS_ONLY = "management APIs take API keys only, not virtual keys, session tokens or x-api-key."
MISSING = f"Send an API key as 'Authorization: Bearer {keys.API_KEY_PREFIX}…': {KEYS_ONLY}"
UNKNOWN = f"Send an API key that exists and has been neither revoked nor expired: {KEYS_ONLY}"

MOST_UNKNOWN = 10_000
UNKNOWN_FOR = 30.0
"""The number of seconds for which an unknown key is not looked up in the database again."""


class Authentication:
    """Authenticates API keys and records when each key was last used."""

    def __init__(self, database: Database, cache: SnapshotCache, clock: Clock, admin_key: str | None) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock
        self._admin_digest = keys.digest(admin_key) if admin_key else None
        self._unknown: TTLCache[str, bool] = TTLCache(MOST_UNKNOWN, UNKNOWN_FOR)
        self._unknown_lock = Lock()
        self._used: dict[str, int] = {}
        self._revoked: set[str] = set()

    def authenticate(self, secret: str) -> ApiKey:
        """Return the API key for a secret. Raises Unauthenticated, and Unavailable if the database is busy."""
        if not secret:
            raise Unauthenticated(MISSING, code=Code.API_KEY_REQUIRED)
        digest = keys.digest(secret)
        if self._admin_digest is not None and compare_digest(digest, self._admin_digest):
            return ADMIN
        now = self._clock()
        known = self._cache.peek()
        key = known.snapshot.digests.get(digest) if known else None
        if key is None and secret.startswith(keys.API_KEY_PREFIX):
            key = self._stored(digest)
        if key is None or not self.check_and_touch(key, now):
            raise Unauthenticated(UNKNOWN)
        return key

    def by_id(self, key_id: str) -> ApiKey | None:
        """Return the valid API key with an id, as it is in the database now.

        Return None if there is no such key. Raises Unavailable. The dashboard calls this for each page. So when a key
        is revoked, the sessions that began with this key end in every worker immediately.
        """
        if key_id == ADMIN.id:
            return ADMIN if self._admin_digest is not None else None
        with self._database.read() as connection:
            key = api_keys.by_ids(connection, [key_id]).get(key_id)
        return key if key is not None and self.check_and_touch(key, self._clock()) else None

    def check_and_touch(self, key: ApiKey, now: int) -> bool:
        """Return whether a key from the snapshot or the database is still valid. If it is valid, record its use."""
        good = key.live(now) and key.id not in self._revoked
        if good and key is not ADMIN:
            self._used[key.id] = now
        return good

    def is_secret(self, text: str) -> bool:
        """Return whether a text is an API key, or the value of a virtual key in the snapshot."""
        known = self._cache.peek()
        digest = keys.digest(text)
        return known is not None and (digest in known.snapshot.digests or digest in known.snapshot.values)

    def refuse(self, key_id: str) -> None:
        """Refuse a key from now on, even if the snapshot still contains the key.

        A worker calls this when it revokes a key.
        """
        self._revoked.add(key_id)

    def flush(self) -> None:
        """Write the times of last use to the database.

        Each poll calls this method. If the worker crashes, the times since the last poll are lost.
        """
        used, self._used = self._used, {}
        if not used:
            return
        try:
            with self._database.write() as connection:
                api_keys.note_use(connection, used)
        except Unavailable:
            self._used = used | self._used
            raise

    def _stored(self, digest: str) -> ApiKey | None:
        """Return the key from the database, or None.

        An unknown digest is cached for `UNKNOWN_FOR` seconds. A key that is created in the meantime is still found: it
        has 256 new random bits, so its digest is not in the cache.
        """
        with self._unknown_lock:
            if digest in self._unknown:
                return None
        with self._database.read() as connection:
            key = api_keys.by_digest(connection, digest)
        if key is None:
            with self._unknown_lock:
                self._unknown[digest] = True
        return key


ADMIN = ApiKey(
    id="settings",
    name="GOVERNANCE_ADMIN_KEY",
    key_prefix="",
    digest="",
    scopes=(KeyScope.ADMIN,),
    expires_at=None,
    last_used_at=None,
    created_at=0,
)


def authorize(key: ApiKey, enough: Sequence[KeyScope]) -> None:
    """Raise Forbidden if the key has none of the scopes in `enough`."""
    if granted(key.scopes).isdisjoint(enough):
        needed, held = " or ".join(enough), ", ".join(key.scopes)
        raise Forbidden(f"Use an API key with the scope {needed}: this one has only {held}.")
