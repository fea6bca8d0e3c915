"""Checks that every counter equals the sum of its ledger rows, and that the usage history equals the sum of all calls.

A counter contains the usage of one rule of a limit in one time window. For each reservation, the ledger has one row for
each counter that the reservation changes. The usage history contains the usage of each 15 minutes, called a bucket, and
of each day and month.
"""

from governance.domain.history.calendar import Calendar
from governance.domain.history.verification import UsageDifference
from governance.domain.metering.verification import CounterDifference, FullCounter
from governance.domain.times import Clock
from governance.storage.history import verification as history
from governance.storage.metering import verification
from governance.storage.store import Database


class Verification:
    """Recomputes every counter and the usage history. `calendar` defines the days and months of the history."""

    def __init__(self, database: Database, clock: Clock, calendar: Calendar) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar

    def verify(self) -> tuple[int, list[CounterDifference]]:
        """Return the number of all counters, and the counters that differ from the sum of their ledger rows.

        `/metrics` shows the result of the last verification.
        """
        with self._database.read() as connection:
            total, found = verification.differences(connection)
        with self._database.write() as connection:
            verification.note(connection, self._clock(), total, len(found))
        return total, found

    def verify_history(self) -> tuple[int, list[UsageDifference]]:
        """Return the number of buckets, days and months that were compared, and those that differ.

        A bucket must equal the sum of its calls. A day must equal the sum of its buckets. A month must equal the sum of
        its days.
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
        """Return the number of counters that differed at the last verification.

        Return None if there was no verification yet.
        """
        with self._database.read() as connection:
            last = verification.last(connection)
        return None if last is None else last.differences
