"""What becomes of a reservation: settle, release, extend, read, list, and the sweep of those whose time is over."""

from collections.abc import Callable

from governance.domain import reservations as steps
from governance.domain.errors import Code, NotFound
from governance.domain.pages import Page
from governance.domain.reservations import Actual, Reservation, Status
from governance.domain.times import SECOND
from governance.services.statistics import EXPIRED, LATE
from governance.storage import reservations as stored
from governance.storage.batch import Batch
from governance.storage.database import Database
from governance.storage.group_commit import GroupCommit
from governance.storage.tallies import Hold

SWEPT_TOGETHER = 500
Step = Callable[[Reservation, int], Reservation]


class Reservations:
    """The acts on reservations; `charge_expired` is the policy for those that nobody settled."""

    def __init__(self, database: Database, group: GroupCommit, *, charge_expired: bool) -> None:
        self._database = database
        self._group = group
        self._charge = charge_expired

    def settle(self, reservation_id: str, actual: Actual) -> Reservation:
        """Turn the hold into what was used, in the window of admission. Raises NotFound, Conflict."""
        return self._end(reservation_id, lambda before, now: steps.settled(before, actual, now))

    def release(self, reservation_id: str) -> Reservation:
        """Give the hold back: nothing was used. Raises NotFound, Conflict."""
        return self._end(reservation_id, steps.released)

    def extend(self, reservation_id: str, ttl_seconds: int) -> Reservation:
        """Let the hold last until so many seconds from now. Raises NotFound, Conflict."""

        def act(batch: Batch) -> Reservation:
            hold = _found(batch, reservation_id)
            after = steps.extended(hold.reservation, batch.now + ttl_seconds * SECOND, batch.now)
            batch.extend(hold, after)
            return after

        return self._group.submit(act)

    def get(self, reservation_id: str) -> Reservation:
        """One reservation. Raises NotFound."""
        with self._database.read() as connection:
            found = stored.get(connection, reservation_id)
        if found is None:
            raise _unknown()
        return found

    def page(self, page: Page, status: str | None) -> tuple[list[Reservation], int]:
        """A page of reservations, newest first, and how many there are."""
        with self._database.read() as connection:
            return stored.page(connection, page, status)

    def open_count(self) -> int:
        """How many reservations hold something now."""
        with self._database.read() as connection:
            return stored.open_count(connection)

    def sweep(self) -> int:
        """Expire what is open and over, each exactly once, whichever worker comes first; how many that were."""
        swept = 0
        if self._lapsed():
            while found := self._group.submit(self._expire):
                swept += found
                if found < SWEPT_TOGETHER:
                    break
        EXPIRED.inc(swept)
        return swept

    def _lapsed(self) -> bool:
        """Whether there is anything to sweep: asked without taking the lock that all writers wait for."""
        with self._database.read() as connection:
            return stored.has_lapsed(connection, self._group.clock())

    def _expire(self, batch: Batch) -> int:
        lapsed = batch.lapsed(SWEPT_TOGETHER)
        for reservation_id in lapsed:
            hold = _found(batch, reservation_id)
            if hold.reservation.status == Status.OPEN and hold.reservation.is_late(batch.now):
                batch.settle(hold, steps.expired(hold.reservation, charge=self._charge))
        return len(lapsed)

    def _end(self, reservation_id: str, step: Step) -> Reservation:
        def act(batch: Batch) -> tuple[Reservation, bool]:
            hold = _found(batch, reservation_id)
            before = hold.reservation
            after = step(before, batch.now)
            if after is not before:
                batch.settle(hold, after)
            return after, after is not before

        ended, changed = self._group.submit(act)
        if changed and ended.late:
            LATE.inc()
        return ended


def _found(batch: Batch, reservation_id: str) -> Hold:
    hold = batch.reservation(reservation_id)
    if hold is None:
        raise _unknown()
    return hold


def _unknown() -> NotFound:
    return NotFound("Reservation not found", code=Code.RESERVATION_NOT_FOUND)
