"""Pruning: what is old leaves, in slices, and every counter still equals its ledger.

A row of the ledger that goes is folded into its counter first, in the same transaction:
used = folded + Σ used of the rows that are left.
"""

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Connection

from governance.domain.reservations import Status
from governance.storage.tables import counters, idempotency, ledger, reservations

LOOKED_AT = 10


def fold_reservations(connection: Connection, before: int, most: int) -> int:
    """Drop up to `most` reservations that ended before an instant, with their ledger; how many.

    Only the oldest are looked at: those that are open, or ended lately, are few among them.
    """
    oldest = select(reservations.c.seq, reservations.c.ended_at, reservations.c.status)
    looked_at = oldest.order_by(reservations.c.seq).limit(LOOKED_AT * most).subquery()
    ended = (looked_at.c.ended_at < before) & (looked_at.c.status != Status.OPEN)
    seqs = list(connection.execute(select(looked_at.c.seq).where(ended).limit(most)).scalars())
    if seqs:
        mine = ledger.c.seq.in_(seqs)
        sums = connection.execute(
            select(ledger.c.counter_id, func.sum(ledger.c.used)).where(mine).group_by(ledger.c.counter_id)
        ).all()
        for counter_id, used in sums:
            folded = update(counters).where(counters.c.id == counter_id)
            connection.execute(folded.values(folded=counters.c.folded + used))
        connection.execute(delete(ledger).where(mine))
        connection.execute(delete(reservations).where(reservations.c.seq.in_(seqs)))
    return len(seqs)


def drop_counters(connection: Connection, before: int, most: int) -> int:
    """Drop up to `most` counters whose window ended before an instant and before any reservation that is left."""
    oldest = connection.execute(select(func.min(reservations.c.created_at))).scalar_one()
    closed = before if oldest is None else min(before, oldest)
    old = select(counters.c.id).where(counters.c.window_end < closed).limit(most)
    return connection.execute(delete(counters).where(counters.c.id.in_(old))).rowcount


def drop_answers(connection: Connection, before: int) -> None:
    """Drop the answers that were kept before an instant."""
    connection.execute(delete(idempotency).where(idempotency.c.created_at < before))
