"""The way of every management write: one transaction, its audit in it, then a refresh that began after it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain.times import Clock
from governance.services import audit
from governance.snapshot.cache import SnapshotCache
from governance.storage import revisions
from governance.storage.store import Database


class Write(NamedTuple):
    """A management write under way: its transaction, the instant it counts as, and its config revision."""

    connection: Connection
    now: int
    revision: int


class Writer:
    """Runs management writes."""

    def __init__(self, database: Database, cache: SnapshotCache, clock: Clock) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock

    @contextmanager
    def write(self) -> Iterator[Write]:
        """One transaction, kept whole or not at all; what it changed is in this worker's memory when it ends.

        A refresh that fails is logged and counted by the memory; the write is kept all the same.
        """
        until = self._database.deadline()
        with self._database.write(until) as connection:
            write = Write(connection, self._clock(), revisions.advance(connection))
            yield write
            audit.record(self._database, connection, write.now, write.revision)
        with suppress(Exception):
            self._cache.catch_up(until)
