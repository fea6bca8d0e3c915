"""Runs every management write, which is a change of limits, keys, users or prices.

A management write is one transaction that also stores the audit entries. After the transaction, the snapshot is
refreshed. The snapshot is the worker's copy of the database in memory.
"""

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
    """A management write that is in progress.

    `connection` has an open transaction. `now` is the time of the write in microseconds. `revision` is the config
    revision, a number that each management write raises by 1.
    """

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
        """Run the `with` block in one transaction.

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
