"""Does every counter equal its ledger? Asked in one transaction, so it may be asked while the service runs."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from governance.storage.tables import counters, ledger, verifications


class Difference(NamedTuple):
    """A counter that does not equal its ledger: what it says, and what the ledger adds up to."""

    rule_id: str
    metric: str
    window_start: int
    used: int
    ledger_used: int
    reserved: int
    ledger_reserved: int


class Verified(NamedTuple):
    """When the counters were last compared with their ledger, how many there were, and how many differed."""

    at: int
    counters: int
    differences: int


def differences(connection: Connection) -> tuple[int, list[Difference]]:
    """How many counters there are, and those that differ: used = folded + Σ used, reserved = Σ held."""
    sums = (
        select(
            ledger.c.counter_id,
            func.sum(ledger.c.used).label("used"),
            func.sum(ledger.c.held).label("held"),
        )
        .group_by(ledger.c.counter_id)
        .subquery()
    )
    used = counters.c.folded + func.coalesce(sums.c.used, 0)
    held = func.coalesce(sums.c.held, 0)
    joined = counters.outerjoin(sums, sums.c.counter_id == counters.c.id)
    found = connection.execute(
        select(
            counters.c.rule_id,
            counters.c.metric,
            counters.c.window_start,
            counters.c.used,
            used,
            counters.c.reserved,
            held,
        )
        .select_from(joined)
        .where((counters.c.used != used) | (counters.c.reserved != held))
        .order_by(counters.c.id)
    )
    total = connection.execute(select(func.count()).select_from(counters)).scalar_one()
    return total, [Difference(*row) for row in found]


def note(connection: Connection, at: int, total: int, different: int) -> None:
    """Keep the result of a verification for `/metrics`."""
    values = {"id": 1, "at": at, "counters": total, "differences": different}
    statement = insert(verifications).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def last(connection: Connection) -> Verified | None:
    """The last result; None where nobody has asked."""
    kept = select(verifications.c.at, verifications.c.counters, verifications.c.differences)
    row = connection.execute(kept).one_or_none()
    return None if row is None else Verified._make(row)
