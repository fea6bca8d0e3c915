"""Checks that every counter equals the sum of its ledger rows, and the usage history equals the sum of all calls.

The ledger has a row for each reservation and each of its counters.
"""

from governance.domain.history.calendar import Calendar
from governance.domain.history.verification import UsageDifference
from governance.domain.metering.verification import CounterDifference, FullCounter
from governance.domain.times import Clock
from governance.storage.history import verification as history
from governance.storage.metering import verification
from governance.storage.store import Database


class Verification:
    """Recomputes every counter and the usage history. `calendar` is the calendar of the history's days and months."""

    def __init__(self, database: Database, clock: Clock, calendar: Calendar) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar

    def verify(self) -> tuple[int, list[CounterDifference]]:
        """Return the number of all counters, and the counters that differ from the sum of their ledger rows.

        `/metrics` shows the last result.
        """
        with self._database.read() as connection:
            total, found = verification.differences(connection)
        with self._database.write() as connection:
            verification.note(connection, self._clock(), total, len(found))
        return total, found

    def verify_history(self) -> tuple[int, list[UsageDifference]]:
        """Return the number of compared buckets, days and months of usage, and those that differ.

        A bucket, day or month must equal the sum of its parts.
        """
        with self._database.read() as connection:
            return history.differences(connection, self._calendar)

    def full(self) -> list[FullCounter]:
        """Return the counters of current windows that are close to the largest possible value.

        A reset of the usage makes room in such a counter.
        """
        with self._database.read() as connection:
            return verification.full(connection, self._clock())

    def last(self) -> int | None:
        """The number of differing counters at the last verification. None before the first."""
        with self._database.read() as connection:
            last = verification.last(connection)
        return None if last is None else last.differences
