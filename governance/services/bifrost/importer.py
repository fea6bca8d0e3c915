"""Imports limits, virtual keys, prices and usage from the database of Bifrost, an LLM gateway, in one transaction.

Rows that are already in the database of this service stay unchanged.
"""

from pathlib import Path

from sqlalchemy.engine import Connection

from governance.domain.bifrost.candidates import Candidates, ImportPlan
from governance.domain.bifrost.plan import decide
from governance.domain.times import Clock
from governance.services.random_ids import RandomIds
from governance.services.writing import Write, Writer
from governance.storage import revisions
from governance.storage.bifrost import existing_ids, reader
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import counters, writes
from governance.storage.pricing.price_overrides import price_overrides
from governance.storage.store import Database
from schemas.bifrost.rows import candidates


class BifrostImport:
    """Imports limits, virtual keys, prices and usage from a database of Bifrost."""

    def __init__(
        self, database: Database, writer: Writer, clock: Clock, random_ids: RandomIds, busy_timeout: float
    ) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock
        self._random_ids = random_ids
        self._busy_timeout = busy_timeout

    def run(self, file: Path, *, dry_run: bool) -> ImportPlan:
        """Copy the rows of a Bifrost database that this service does not store yet.

        A dry run only returns the plan. Raises InvalidRequest, Unavailable.
        """
        now = self._clock()
        arriving = candidates(reader.read(file, self._busy_timeout), now)
        with self._database.read() as connection:
            seen = revisions.current(connection)
            decided = self._decide(connection, arriving, now)
        if dry_run or not decided.changes:
            return decided
        with self._writer.write() as write:
            # if another write was committed after the plan was made, make the plan again under the write lock
            if write.revision != seen + 1:
                decided = self._decide(write.connection, arriving, write.now)
            _store(write, decided)
        return decided

    def _decide(self, connection: Connection, arriving: Candidates, now: int) -> ImportPlan:
        return decide(arriving, existing_ids.existing_ids(connection), now=now, new_id=self._random_ids.new_id)


def _store(write: Write, decided: ImportPlan) -> None:
    virtual_keys.add_all(write.connection, decided.keys, write.revision)
    writes.add_all(write.connection, decided.limits, write.revision)
    price_overrides.add_all(write.connection, decided.prices, write.revision)
    counters.open_all(write.connection, decided.openings, write.now)
