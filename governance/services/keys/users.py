"""Users: names for the user ids that limits are bound to."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, Conflict, NotFound
from governance.domain.keys import User
from governance.domain.names import fold
from governance.domain.records.pages import Page
from governance.services.random_ids import Mint
from governance.services.writing import Writer
from governance.storage.keys import users
from governance.storage.store import Database


class Users:
    """The acts on users."""

    def __init__(self, database: Database, writer: Writer, mint: Mint) -> None:
        self._database = database
        self._writer = writer
        self._mint = mint

    def page(self, page: Page, search: str) -> tuple[list[User], int]:
        """A page of users whose name contains `search`, and how many there are."""
        with self._database.read() as connection:
            return users.page(connection, page, fold(search))

    def get(self, user_id: str) -> User:
        """One user. Raises NotFound."""
        with self._database.read() as connection:
            return _stored(connection, user_id)

    def create(self, body: Mapping[str, Any]) -> User:
        """Store a new user. Raises Conflict."""
        with self._writer.write() as write:
            user = User(body.get("id") or self._mint.new_id(), body["name"], write.now, write.now)
            if users.get(write.connection, user.id):
                raise Conflict("Give another id: a user with this id already exists.", param="id")
            users.add(write.connection, user, write.revision)
        return user

    def change(self, user_id: str, body: Mapping[str, Any]) -> User:
        """Store an edit. Raises NotFound."""
        with self._writer.write() as write:
            before = _stored(write.connection, user_id)
            after = before._replace(**body)
            if after == before:
                return before
            after = after._replace(updated_at=write.now)
            users.replace(write.connection, after, write.revision)
        return after

    def delete(self, user_id: str) -> None:
        """Delete a user's name; limits on the id stay. Raises NotFound."""
        with self._writer.write() as write:
            _stored(write.connection, user_id)
            users.remove(write.connection, user_id, write.revision)


def _stored(connection: Connection, user_id: str) -> User:
    user = users.get(connection, user_id)
    if user is None:
        raise NotFound("User not found", code=Code.USER_NOT_FOUND)
    return user
