"""Charges a call immediately, for callers that never settle. The decision is the same as for a reservation."""

from collections.abc import Sequence

from governance.domain.metering.reservation import Actual, Reservation, settled
from governance.services.metering.reserve_and_report import CounterAmount, Reserve
from governance.storage.store import UnitOfWork


class Charge(Reserve):
    """Charges the requested amounts of a call in the transaction that admits the call.

    If the call is refused, nothing is charged.
    """

    def _add(self, held: Reservation, amounts: Sequence[CounterAmount], unit: UnitOfWork) -> Reservation:
        after = settled(held, Actual(None, None), unit.now)._replace(ended_at=unit.now)
        unit.add(after, [(counter, 0, amount) for counter, amount in amounts])
        return after
