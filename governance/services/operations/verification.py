"""The proof that every counter equals the sum of its ledger."""

from governance.domain.metering.verification import CounterDifference, FullCounter
from governance.domain.times import Clock
from governance.storage.metering import verification
from governance.storage.store import Database


class Verification:
    """Recomputes every counter."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def verify(self) -> tuple[int, list[CounterDifference]]:
        """How many counters there are, and each that differs; the result is kept for `/metrics`."""
        with self._database.read() as connection:
            total, found = verification.differences(connection)
        with self._database.write() as connection:
            verification.note(connection, self._clock(), total, len(found))
        return total, found

    def full(self) -> list[FullCounter]:
        """The counters of windows of now that can hardly take more: a reset of their usage lets them go on."""
        with self._database.read() as connection:
            return verification.full(connection, self._clock())

    def last(self) -> int | None:
        """How many counters differed when last verified; None where nobody has."""
        with self._database.read() as connection:
            last = verification.last(connection)
        return None if last is None else last.differences
