"""Users: rows in and out."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from governance.domain.keys import User
from governance.domain.names import fold
from governance.domain.records.pages import Page
from governance.domain.records.stored import HeldUser
from governance.storage import paging, revisions
from governance.storage.tables import users

COLUMNS = [users.c[name] for name in User._fields]


def get(connection: Connection, user_id: str) -> User | None:
    """The user with this id."""
    row = connection.execute(select(*COLUMNS).where(users.c.id == user_id)).one_or_none()
    return None if row is None else User._make(row)


def by_ids(connection: Connection, ids: Sequence[str]) -> dict[str, User]:
    """The users with these ids, by id."""
    return {row.id: User._make(row) for row in paging.by_ids(connection, COLUMNS, ids)}


def page(connection: Connection, wanted: Page, search: str) -> tuple[list[User], int]:
    """A page of users, newest first, and how many match the folded `search`."""
    rows, total = paging.page(connection, users, COLUMNS, wanted, search)
    return [User._make(row) for row in rows], total


def add(connection: Connection, user: User, revision: int) -> None:
    """Store a new user."""
    connection.execute(insert(users).values(_row(user, revision)))


def replace(connection: Connection, user: User, revision: int) -> None:
    """Store an edit."""
    connection.execute(update(users).where(users.c.id == user.id).values(_row(user, revision)))


def add_held(connection: Connection, held: Sequence[HeldUser], revision: int) -> None:
    """Store new users of a file."""
    if held:
        connection.execute(insert(users), [_held_row(each, revision) for each in held])


def replace_held(connection: Connection, held: Sequence[HeldUser], revision: int) -> None:
    """Store edits by a file."""
    if held:
        rows = [_held_row(each, revision) | {"its_id": each.user.id} for each in held]
        connection.execute(update(users).where(users.c.id == bindparam("its_id")), rows)


def remove(connection: Connection, user_id: str, revision: int) -> None:
    """Delete a user: a name. Limits on the id stay."""
    remove_all(connection, [user_id], revision)


def remove_all(connection: Connection, ids: Iterable[str], revision: int) -> None:
    """Delete users. Limits on their ids stay."""
    gone = [{"its_id": user_id} for user_id in ids]
    if gone:
        connection.execute(delete(users).where(users.c.id == bindparam("its_id")), gone)
    revisions.bury(connection, revisions.USER, [row["its_id"] for row in gone], revision)


def _row(user: User, revision: int) -> dict[str, Any]:
    return user._asdict() | {"search_name": fold(user.name), "revision": revision}


def _held_row(held: HeldUser, revision: int) -> dict[str, Any]:
    return _row(held.user, revision) | paging.origin(held)
