"""Lists, reads, creates, changes and deletes virtual keys."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from governance.domain import keys
from governance.domain.errors import Code, Conflict, InvalidRequest
from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import Scope
from governance.domain.records.stored import ManagedKey
from governance.services.keys.named_resources import NamedEntries
from governance.services.writing import Write
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import writes

CLASHES = {
    "id": ("id", "Give another id: a virtual key with this id already exists."),
    "name": ("name", "Give another name: a virtual key with this name already exists."),
    "digest": ("value", "Give another value: a virtual key with this value already exists."),
}


class NewKey(NamedTuple):
    """A new virtual key with its value. The value is shown only once."""

    key: VirtualKey
    value: str


class VirtualKeys(NamedEntries[VirtualKey, ManagedKey]):
    """The operations on virtual keys."""

    rows = virtual_keys
    missing = "Virtual key not found", Code.VIRTUAL_KEY_NOT_FOUND

    def create(self, body: Mapping[str, Any]) -> NewKey:
        """Store a new key. Raises InvalidRequest, Conflict."""
        value = body.get("value") or keys.VIRTUAL_KEY_PREFIX + self._random_ids.new_secret()
        with self._writer.write() as write:
            key = VirtualKey(
                id=body.get("id") or self._random_ids.new_id(),
                name=body["name"],
                description=body.get("description"),
                digest=keys.digest(value),
                value_prefix=keys.shown_prefix(value),
                is_active=body.get("is_active", True),
                calendar_aligned=body.get("calendar_aligned", False),
                expires_at=body.get("expires_at"),
                created_at=write.now,
                updated_at=write.now,
            )
            refuse_past(key.expires_at, write.now)
            if virtual_keys.get(write.connection, key.id):
                raise _clash("id")
            _refuse_clash(write, key)
            virtual_keys.add(write.connection, key, write.revision)
        return NewKey(key, value)

    def delete(self, key_id: str) -> None:
        """Delete a key and the limits for it. Raises NotFound."""
        with self._writer.write() as write:
            self._stored(write.connection, key_id)
            bound = writes.ids_of_scope(write.connection, Scope.VIRTUAL_KEY, key_id)
            writes.remove(write.connection, bound, write.revision)
            virtual_keys.remove(write.connection, key_id, write.revision)

    def _check(self, write: Write, before: VirtualKey, after: VirtualKey) -> None:
        if after.expires_at != before.expires_at:
            refuse_past(after.expires_at, write.now)
        _refuse_clash(write, after)


def refuse_past(expires_at: int | None, now: int) -> None:
    """Raise InvalidRequest if `expires_at` is not in the future."""
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest("Give expires_at as a time in the future.", param="expires_at")


def _refuse_clash(write: Write, key: VirtualKey) -> None:
    column = virtual_keys.clash(write.connection, key)
    if column is not None:
        raise _clash(column)


def _clash(column: str) -> Conflict:
    param, sentence = CLASHES[column]
    return Conflict(sentence, param=param)
