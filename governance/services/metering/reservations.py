"""Settles, releases, extends, reads and lists reservations, and expires the overdue ones.

A reservation holds the estimated cost, tokens and requests of a call that has not ended yet. A settle replaces the
estimate with the actual usage. A release frees the held amounts without a charge.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from governance.domain.errors import Code, NotFound, Unavailable
from governance.domain.metering import reservation as steps
from governance.domain.metering.priced import settled_at
from governance.domain.metering.reservation import Actual, Reservation, Status
from governance.domain.metering.reservation_query import ReservationFilter
from governance.domain.pricing import price_json
from governance.domain.pricing.schedule import Schedule
from governance.domain.records.list_query import Page
from governance.domain.times import SECOND, Clock
from governance.services.metering.match_cache import Matcher
from governance.services.metering.statistics import EXPIRED, LATE, Statistics
from governance.storage.metering import reservations as stored
from governance.storage.store import Database, MeteringStore, UnitOfWork

logger = logging.getLogger("governance.services")

SWEPT_TOGETHER = 500
Step = Callable[[Reservation, int], Reservation]


class SettledReservation(NamedTuple):
    """A reservation after its settle.

    If `is_unpriced` is true, the settle gave tokens by kind, but no price is known for them. Then the reserved cost is
    charged.
    """

    reservation: Reservation
    is_unpriced: bool = False


class Reservations:
    """The operations on reservations.

    If `charge_expired` is true, an expired reservation is charged at its estimate. Otherwise an expired reservation is
    charged nothing. `steady` is a clock that never jumps. It prevents reservations from expiring too early when the
    system clock jumps forward.
    """

    def __init__(
        self,
        database: Database,
        store: MeteringStore,
        steady: Clock,
        *,
        matcher: Matcher,
        statistics: Statistics,
        charge_expired: bool,
    ) -> None:
        self._database = database
        self._store = store
        self._steady = steady
        self._matcher = matcher
        self._statistics = statistics
        self._charge = charge_expired

    def settle(self, reservation_id: str, actual: Actual) -> SettledReservation:
        """Replace the reserved amounts with the actual usage, in the time windows in which the reservation was granted.

        If `actual` gives tokens by kind (such as input and output tokens) but no cost, the cost is computed from the
        price that applied when the reservation was granted. If no price was known then, but a price for that time is
        known now, the cost is computed from this price. Raises NotFound, Conflict, InvalidRequest.
        """
        if not actual.needs_price:
            after = self._end(reservation_id, lambda before, now: steps.settled(before, actual, now))
            return SettledReservation(after)
        find = self._matcher.schedules()
        after = self._end(reservation_id, lambda before, now: steps.settled(before, _priced(before, actual, find), now))
        is_unpriced = _priced(after, actual, find).cost is None
        if is_unpriced:
            self._statistics.unpriced(after.model, after.provider, after.settled_at or 0)
        return SettledReservation(after, is_unpriced)

    def release(self, reservation_id: str) -> Reservation:
        """Free the reserved amounts, and charge nothing. Raises NotFound, Conflict."""
        return self._end(reservation_id, steps.released)

    def extend(self, reservation_id: str, ttl_seconds: int) -> Reservation:
        """Let the reservation expire `ttl_seconds` from now, or at its old time if that is later.

        Raises NotFound, Conflict.
        """

        def act(unit: UnitOfWork) -> Reservation:
            pending = unit.reservation(reservation_id)
            if pending is None:
                raise _unknown()
            after = steps.extended(pending.reservation, unit.now + ttl_seconds * SECOND, unit.now)
            unit.extend(pending, after)
            return after

        return self._store.submit(act)

    def get(self, reservation_id: str) -> Reservation:
        """Return one reservation. Raises NotFound."""
        with self._database.read() as connection:
            found = stored.get(connection, reservation_id)
        if found is None:
            raise _unknown()
        return found

    def page(self, page: Page, wanted: ReservationFilter) -> tuple[list[Reservation], int | None]:
        """Return a page of the reservations that match `wanted`, newest first, and the number of all of them.

        The number is None if it is above 10,000.
        """
        with self._database.read() as connection:
            return stored.page(connection, page, wanted)

    def open_count(self) -> int:
        """Return the number of open reservations."""
        with self._database.read() as connection:
            return stored.open_count(connection)

    def sweep(self) -> int:
        """Expire the overdue reservations, and return their number. Two workers never expire the same reservation."""
        swept = 0
        if self._lapsed():
            while found := self._sweep_some():
                swept += found
                if found < SWEPT_TOGETHER:
                    break
        EXPIRED.inc(swept)
        return swept

    def _sweep_some(self) -> int:
        """Expire up to 500 overdue reservations in one transaction, and return their number.

        If the transaction fails, expire each reservation in its own transaction, so that a faulty reservation does not
        block the others.
        """
        try:
            return self._store.submit(self._expire)
        except Unavailable:
            raise
        except Exception:
            logger.exception("reservations could not be expired together")
            return sum(map(self._expired_alone, self._store.submit(self._overdue)))

    def _expired_alone(self, reservation_id: str) -> bool:
        try:
            self._store.submit(lambda unit: self._expire_one(unit, reservation_id))
        except Unavailable:
            raise
        except Exception:
            logger.exception("a reservation could not be expired: %s", reservation_id)
            return False
        return True

    def _lapsed(self) -> bool:
        """Return whether any reservation is overdue. This function only reads, so it does not need the writer lock."""
        with self._database.read() as connection:
            return stored.has_lapsed(connection, min(self._store.clock(), self._steady()))

    def _overdue(self, unit: UnitOfWork) -> list[str]:
        return unit.lapsed(SWEPT_TOGETHER, min(unit.now, self._steady()))

    def _expire(self, unit: UnitOfWork) -> int:
        lapsed = self._overdue(unit)
        for reservation_id in lapsed:
            self._expire_one(unit, reservation_id)
        return len(lapsed)

    def _expire_one(self, unit: UnitOfWork, reservation_id: str) -> None:
        pending = unit.reservation(reservation_id)
        if pending is None:
            raise _unknown()
        if pending.reservation.status == Status.OPEN and pending.reservation.is_late(unit.now):
            unit.settle(pending, steps.expired(pending.reservation, charge=self._charge))

    def _end(self, reservation_id: str, step: Step) -> Reservation:
        def act(unit: UnitOfWork) -> tuple[Reservation, Reservation]:
            pending = unit.reservation(reservation_id)
            if pending is None:
                raise _unknown()
            before = pending.reservation
            after = step(before, unit.now)
            if after is not before:
                unit.settle(pending, after)
            return before, after

        before, after = self._store.submit(act)
        if after is not before and after.late:
            LATE.inc()
        return after


def _priced(before: Reservation, actual: Actual, find: Callable[[str, str | None], Schedule]) -> Actual:
    if before.price is not None:
        return settled_at(actual, price_json.read(before.price), price_json.source(before.price))
    found = find(before.model, before.provider).at(before.created_at)
    return actual if found is None else settled_at(actual, found.price, found.entry.source, found.text)


def _unknown() -> NotFound:
    return NotFound("Reservation not found", code=Code.RESERVATION_NOT_FOUND)
