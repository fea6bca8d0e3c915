"""Runs every management write: one transaction with its audit entries, then a refresh of the snapshot."""

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
    """A running management write: its transaction, its time in microseconds, and its config revision."""

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
        """Run the block in one transaction. Then refresh this worker's snapshot, so that it has the changes.

        The cache logs and counts a refresh that fails. The write stays committed.
        """
        until = self._database.deadline()
        with self._database.write(until) as connection:
            write = Write(connection, self._clock(), revisions.advance(connection))
            yield write
            audit.record(self._database, connection, write.now, write.revision)
        with suppress(Exception):
            self._cache.catch_up(until)
