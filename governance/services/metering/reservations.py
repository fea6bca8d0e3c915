"""What becomes of a reservation: settle, release, extend, read, list, and the sweep of those whose time is over."""

import logging
from collections.abc import Callable

from governance.domain.errors import Code, NotFound, Unavailable
from governance.domain.metering import reservation as steps
from governance.domain.metering.reservation import Actual, Reservation, Status
from governance.domain.records.pages import Page
from governance.domain.times import SECOND, Clock
from governance.services.metering.statistics import EXPIRED, LATE
from governance.storage.metering import reservations as stored
from governance.storage.metering.pending import PendingReservation
from governance.storage.store import Database, MeteringStore, UnitOfWork

logger = logging.getLogger("governance.services")

SWEPT_TOGETHER = 500
Step = Callable[[Reservation, int], Reservation]


class Reservations:
    """The acts on reservations; `charge_expired` is the policy for those that nobody settled.

    Nothing expires by a clock that has just jumped: `steady` says the time without the jump.
    """

    def __init__(self, database: Database, group: MeteringStore, steady: Clock, *, charge_expired: bool) -> None:
        self._database = database
        self._group = group
        self._steady = steady
        self._charge = charge_expired

    def settle(self, reservation_id: str, actual: Actual) -> Reservation:
        """Turn the hold into what was used, in the window of admission. Raises NotFound, Conflict."""
        return self._end(reservation_id, lambda before, now: steps.settled(before, actual, now))

    def release(self, reservation_id: str) -> Reservation:
        """Give the hold back: nothing was used. Raises NotFound, Conflict."""
        return self._end(reservation_id, steps.released)

    def extend(self, reservation_id: str, ttl_seconds: int) -> Reservation:
        """Let the hold last until so many seconds from now. Raises NotFound, Conflict."""

        def act(batch: UnitOfWork) -> Reservation:
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
            while found := self._sweep_some():
                swept += found
                if found < SWEPT_TOGETHER:
                    break
        EXPIRED.inc(swept)
        return swept

    def _sweep_some(self) -> int:
        """Expire some, together; where one of them cannot be, each by itself, so that it holds up no other."""
        try:
            return self._group.submit(self._expire)
        except Unavailable:
            raise
        except Exception:
            logger.exception("reservations could not be expired together")
            return sum(map(self._expired_alone, self._group.submit(self._overdue)))

    def _expired_alone(self, reservation_id: str) -> bool:
        try:
            self._group.submit(lambda batch: self._expire_one(batch, reservation_id))
        except Unavailable:
            raise
        except Exception:
            logger.exception("a reservation could not be expired: %s", reservation_id)
            return False
        return True

    def _lapsed(self) -> bool:
        """Whether there is anything to sweep: asked without taking the lock that all writers wait for."""
        with self._database.read() as connection:
            return stored.has_lapsed(connection, min(self._group.clock(), self._steady()))

    def _overdue(self, batch: UnitOfWork) -> list[str]:
        return batch.lapsed(SWEPT_TOGETHER, min(batch.now, self._steady()))

    def _expire(self, batch: UnitOfWork) -> int:
        lapsed = self._overdue(batch)
        for reservation_id in lapsed:
            self._expire_one(batch, reservation_id)
        return len(lapsed)

    def _expire_one(self, batch: UnitOfWork, reservation_id: str) -> None:
        hold = _found(batch, reservation_id)
        if hold.reservation.status == Status.OPEN and hold.reservation.is_late(batch.now):
            batch.settle(hold, steps.expired(hold.reservation, charge=self._charge))

    def _end(self, reservation_id: str, step: Step) -> Reservation:
        def act(batch: UnitOfWork) -> tuple[Reservation, bool]:
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


def _found(batch: UnitOfWork, reservation_id: str) -> PendingReservation:
    hold = batch.reservation(reservation_id)
    if hold is None:
        raise _unknown()
    return hold


def _unknown() -> NotFound:
    return NotFound("Reservation not found", code=Code.RESERVATION_NOT_FOUND)
