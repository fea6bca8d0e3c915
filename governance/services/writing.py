"""Runs every management write: one transaction that includes the audit entries, and then a refresh of the snapshot."""

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
    """A management write that is in progress: its transaction, its time in microseconds, and its config revision."""

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
        """Run the block in one transaction.

        Then refresh this worker's snapshot, so that it contains the changes. If the refresh fails, the error is logged
        and counted, and the write stays committed.
        """
        until = self._database.deadline()
        with self._database.write(until) as connection:
            write = Write(connection, self._clock(), revisions.advance(connection))
            yield write
            audit.record(self._database, connection, write.now, write.revision)
        with suppress(Exception):
            self._cache.catch_up(until)
