"""Users: rows in and out."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from governance.domain.keys import User
from governance.domain.names import fold
from governance.domain.pages import Page
from governance.storage import named, revisions
from governance.storage.tables import users

COLUMNS = [users.c[name] for name in User._fields]


def get(connection: Connection, user_id: str) -> User | None:
    """The user with this id."""
    row = connection.execute(select(*COLUMNS).where(users.c.id == user_id)).one_or_none()
    return None if row is None else User._make(row)


def by_ids(connection: Connection, ids: Sequence[str]) -> dict[str, User]:
    """The users with these ids, by id."""
    return {row.id: User._make(row) for row in named.by_ids(connection, COLUMNS, ids)}


def page(connection: Connection, wanted: Page, search: str) -> tuple[list[User], int]:
    """A page of users, newest first, and how many match the folded `search`."""
    rows, total = named.page(connection, users, COLUMNS, wanted, search)
    return [User._make(row) for row in rows], total


def add(connection: Connection, user: User, revision: int) -> None:
    """Store a new user."""
    connection.execute(insert(users).values(_row(user, revision)))


def replace(connection: Connection, user: User, revision: int) -> None:
    """Store an edit."""
    connection.execute(update(users).where(users.c.id == user.id).values(_row(user, revision)))


def remove(connection: Connection, user_id: str, revision: int) -> None:
    """Delete a user: a name. Limits on the id stay."""
    connection.execute(delete(users).where(users.c.id == user_id))
    revisions.bury(connection, revisions.USER, [user_id], revision)


def _row(user: User, revision: int) -> dict[str, Any]:
    return user._asdict() | {"search_name": fold(user.name), "revision": revision}
