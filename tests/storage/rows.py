"""Users as rows to read and write, and the messages of refusals."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from governance.domain.errors import Code, Unavailable
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.tables import users

DEADLINE = 30


def add(connection: Connection, *ids: str) -> None:
    rows = [{"id": name, "name": name, "created_at": 1, "updated_at": 1, "search_name": name} for name in ids]
    connection.execute(insert(users), [row | {"revision": 1} for row in rows])


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(users.c.id).order_by(users.c.id)).scalars())


def stored(database: SqliteDatabase) -> list[str]:
    with database.read() as connection:
        return names(connection)


def write(database: SqliteDatabase, *ids: str) -> None:
    with database.write() as connection:
        add(connection, *ids)


def refusal(database: SqliteDatabase, act: Callable[..., object], *args: str) -> str:
    """Return the message of the Unavailable that an act raises. It must contain no path and no SQL."""
    with pytest.raises(Unavailable) as told:
        act(database, *args)
    assert told.value.code == Code.DATABASE_UNAVAILABLE
    assert told.value.retry_after
    assert str(database.path.parent) not in told.value.message
    assert not any(word in told.value.message for word in ("SELECT", "INSERT", "UPDATE", "BEGIN"))
    return told.value.message


def read_refused(database: SqliteDatabase) -> str:
    return refusal(database, stored)


def write_refused(database: SqliteDatabase) -> str:
    return refusal(database, write, "never")


@contextmanager
def writing_elsewhere(database: SqliteDatabase) -> Iterator[None]:
    """Let another thread hold a write transaction during the block."""

    def hold() -> None:
        with database.write():
            begun.set()
            over.wait(DEADLINE)

    begun, over = Event(), Event()
    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(hold)
        try:
            assert begun.wait(DEADLINE)
            yield
        finally:
            over.set()
            held.result()
