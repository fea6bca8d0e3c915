"""Compares every counter with the sum of its ledger rows, and stores the result of the comparison.

A counter contains the used and reserved amounts of one rule in one window of time. A ledger row contains the held
(reserved) and used amounts of one reservation on one counter. The comparison runs in one transaction, so the service
may run at the same time.
"""

from typing import Any, NamedTuple

from sqlalchemy import case, delete, func, insert, select
from sqlalchemy.engine import Connection

from governance.domain.limits.money import MAX_COST
from governance.domain.metering.verification import CounterDifference, FullCounter
from governance.storage.tables import LARGEST_SUM, counters, ledger, verifications

NEARLY_FULL = LARGEST_SUM - MAX_COST
HALF = 32
LOW = (1 << HALF) - 1

_parts = (
    select(
        ledger.c.counter_id,
        *(
            func.sum(part).label(f"{column.name}_{name}")
            for column in (ledger.c.used, ledger.c.held)
            for name, part in (("high", column.bitwise_rshift(HALF)), ("low", column.bitwise_and(LOW)))
        ),
    )
    .group_by(ledger.c.counter_id)
    .subquery()
)
_sums = (
    select(
        counters.c.rule_id,
        counters.c.metric,
        counters.c.window_start,
        counters.c.used,
        counters.c.folded,
        counters.c.reserved,
        *(func.coalesce(part, 0) for part in _parts.c if part.name != "counter_id"),
    )
    .select_from(counters.outerjoin(_parts, _parts.c.counter_id == counters.c.id))
    .order_by(counters.c.id)
)
"""Selects each counter with the sums of its ledger rows. SQLite's `sum` fails above 2^63. So the upper bits of the
amounts and their lower 32 bits are added separately."""
_below_zero = case((counters.c.folded < 0, counters.c.folded), else_=0)


class Verified(NamedTuple):
    """The time of the last comparison, the number of counters, and the number of counters that differed."""

    at: int
    counters: int
    differences: int


def differences(connection: Connection) -> tuple[int, list[CounterDifference]]:
    """Return the number of counters, and the counters that differ from their ledger rows.

    In a correct counter, used = folded + Σ used of its ledger rows, and reserved = Σ held of its ledger rows. `folded`
    is the part of the usage that is in no ledger row, for example because the row was deleted.
    """
    compared = [_compared(row) for row in connection.execute(_sums)]
    differ = [each for each in compared if (each.used, each.reserved) != (each.ledger_used, each.ledger_reserved)]
    return len(compared), differ


def _compared(row: Any) -> CounterDifference:
    rule_id, metric, start, used, folded, reserved, used_high, used_low, held_high, held_low = row
    ledger_used = (int(used_high) << HALF) + int(used_low)
    held = (int(held_high) << HALF) + int(held_low)
    return CounterDifference(rule_id, metric, start, used, folded + ledger_used, reserved, held)


def full(connection: Connection, now: int) -> list[FullCounter]:
    """Return the counters of current windows that are too full: they have no room for the largest cost of one call."""
    rows = connection.execute(
        select(counters.c.rule_id, counters.c.metric, counters.c.window_start)
        .where(counters.c.window_end > now, counters.c.used + counters.c.reserved > NEARLY_FULL + _below_zero)
        .order_by(counters.c.id)
    )
    return [FullCounter._make(row) for row in rows]


def note(connection: Connection, at: int, total: int, different: int) -> None:
    """Store the result of a comparison. `/metrics` shows it."""
    values = {"id": 1, "at": at, "counters": total, "differences": different}
    connection.execute(delete(verifications))
    connection.execute(insert(verifications).values(values))


def last(connection: Connection) -> Verified | None:
    """Return the stored result of the last comparison. Return None if no comparison was made yet."""
    kept = select(verifications.c.at, verifications.c.counters, verifications.c.differences)
    row = connection.execute(kept).one_or_none()
    return None if row is None else Verified._make(row)
