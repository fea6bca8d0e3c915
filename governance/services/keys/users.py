"""Lists, creates, changes and deletes users. A user is a name for a user id to which limits refer."""

from collections.abc import Mapping
from typing import Any

from governance.domain.errors import Code, Conflict
from governance.domain.keys import User
from governance.domain.records.stored import ManagedUser
from governance.services.keys.named_resources import NamedEntries
from governance.storage.keys.users import users


class Users(NamedEntries[User, ManagedUser]):
    """The operations on users."""

    rows = users
    missing = "User not found", Code.USER_NOT_FOUND

    def create(self, body: Mapping[str, Any]) -> User:
        """Store a new user. Raises Conflict."""
        with self._writer.write() as write:
            user = User(body.get("id") or self._random_ids.new_id(), body["name"], write.now, write.now)
            if users.get(write.connection, user.id):
                raise Conflict("Give another id: a user with this id already exists.", param="id")
            users.add(write.connection, user, write.revision)
        return user

    def delete(self, user_id: str) -> None:
        """Delete a user. The limits for the user's id stay. Raises NotFound."""
        with self._writer.write() as write:
            self._stored(write.connection, user_id)
            users.remove(write.connection, user_id, write.revision)
