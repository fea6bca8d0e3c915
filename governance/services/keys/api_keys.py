"""Creates, lists and revokes API keys, and creates the first admin key of a new database."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from governance.domain import keys
from governance.domain.errors import Code, Conflict, NotFound, NotReady
from governance.domain.installation import PROGRAM
from governance.domain.keys import ApiKey, KeyScope
from governance.domain.records.list_query import Page
from governance.services.keys.virtual_keys import refuse_past
from governance.services.random_ids import RandomIds
from governance.services.writing import Write, Writer
from governance.storage import private_files
from governance.storage.keys import api_keys
from governance.storage.store import Database

FIRST_KEY = "first admin key"
FIRST_WRITE = 1
"""The config revision during the first management write to a database.

The config revision is a number that each management write (a change of limits, keys, users or prices) raises by 1.
"""

IN_THE_WAY = (
    "Remove {} or give it another name: its key is none of this database, and a new one is to be written there."
)
LAST = (
    "Create another admin key that lives as long, or set GOVERNANCE_ADMIN_KEY, before you revoke this one: "
    f"it is the last admin key. {PROGRAM} keys revoke does it all the same."
)
UNWRITABLE = "Make the folder writable, or set GOVERNANCE_ADMIN_KEY: the admin key cannot be written to {}, {}."


class NewApiKey(NamedTuple):
    """A new API key with its secret. The secret is shown only once."""

    key: ApiKey
    secret: str


class ApiKeys:
    """The operations on API keys."""

    def __init__(
        self, database: Database, writer: Writer, random_ids: RandomIds, on_revoked: Callable[[str], None]
    ) -> None:
        self._database = database
        self._writer = writer
        self._random_ids = random_ids
        self._on_revoked = on_revoked

    def page(self, page: Page) -> tuple[list[ApiKey], int]:
        """Return a page of keys, and the number of all keys."""
        with self._database.read() as connection:
            return api_keys.page(connection, page)

    def get(self, key_id: str) -> ApiKey | None:
        """Return the key with an id, even if it has expired. Return None if there is no such key."""
        with self._database.read() as connection:
            return api_keys.by_ids(connection, [key_id]).get(key_id)

    def create(self, body: Mapping[str, Any]) -> NewApiKey:
        """Store a new key. Raises InvalidRequest."""
        with self._writer.write() as write:
            refuse_past(body.get("expires_at"), write.now)
            return self._new(write, body["name"], body["scopes"], body.get("expires_at"))

    def revoke(self, key_id: str, *, keep_last: bool = False) -> bool:
        """Revoke a key.

        This worker refuses the key immediately. The other workers refuse it after they next read the changes in the
        database. Return whether the key was the last admin key. Raises NotFound. If `keep_last` is true, raises
        Conflict for the last admin key, because without an admin key nobody could create a new one over HTTP.
        """
        with self._writer.write() as write:
            last = _is_last(write, key_id)
            if last and keep_last:
                raise Conflict(LAST, code=Code.LAST_ADMIN_KEY)
            if not api_keys.remove(write.connection, key_id, write.revision):
                raise NotFound("API key not found", code=Code.API_KEY_NOT_FOUND)
        self._on_revoked(key_id)
        return last

    def create_first(self, path: Path) -> bool:
        """Create the first admin key of a database without keys, and write it to `path`.

        Return whether a key was created. If the database contains a key already, nothing is written, so the service can
        start even if the disk is full. The file is written before the key is stored, because nobody could use a stored
        key that is in no file. An existing file is never overwritten. If the file exists and the database is new, the
        key in the file is stored. If the file exists and the database had keys before, NotReady is raised, because the
        key in the file may have been revoked. Raises NotReady, Unavailable.
        """
        if self._any():
            return False
        with self._writer.write() as write:
            if api_keys.count(write.connection):  # another service has created the key in the meantime
                return False
            secret = _written(path) if write.revision == FIRST_WRITE else None
            new = self._new(write, FIRST_KEY, [KeyScope.ADMIN], None, secret)
            if secret is None:
                _write_secret(path, new.secret)
        return True

    def _any(self) -> bool:
        with self._database.read() as connection:
            return api_keys.count(connection) > 0

    def _new(
        self, write: Write, name: str, scopes: Sequence[KeyScope], expires_at: int | None, secret: str | None = None
    ) -> NewApiKey:
        secret = secret or keys.API_KEY_PREFIX + self._random_ids.new_secret()
        key = ApiKey(
            id=self._random_ids.new_id(),
            name=name,
            key_prefix=keys.shown_prefix(secret),
            digest=keys.digest(secret),
            scopes=tuple(dict.fromkeys(scopes)),
            expires_at=expires_at,
            last_used_at=None,
            created_at=write.now,
        )
        api_keys.add(write.connection, key, write.revision)
        return NewApiKey(key, secret)


def _is_last(write: Write, key_id: str) -> bool:
    stored = api_keys.every(write.connection)
    key = next((key for key in stored if key.id == key_id), None)
    return key is not None and keys.is_last_admin(key, stored, write.now)


def _written(path: Path) -> str | None:
    """Return the key in an existing file.

    Return None if there is no file. Raises NotReady if the file contains no API key.
    """
    try:
        secret = private_files.read(path).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotReady(UNWRITABLE.format(path, error.strerror)) from error
    if not keys.is_api_key(secret):
        raise NotReady(IN_THE_WAY.format(path))
    private_files.close_to_others(path)
    return secret


def _write_secret(path: Path, secret: str) -> None:
    """Write a secret to a new file. Raises NotReady if the file exists or cannot be written."""
    try:
        private_files.write_new(path, f"{secret}\n".encode())
    except FileExistsError as error:
        raise NotReady(IN_THE_WAY.format(path)) from error
    except OSError as error:
        raise NotReady(UNWRITABLE.format(path, error.strerror)) from error
