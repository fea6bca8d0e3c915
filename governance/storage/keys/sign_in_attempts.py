"""Reads and writes the attempts to sign in during the last minute."""

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.engine import Connection

from governance.storage.tables import sign_in_attempts

MOST_ROWS = 100_000
"""The largest number of stored attempts. It prevents attempts from many addresses from filling the disk."""


def times(connection: Connection, address: str, since: int, now: int, most: int) -> list[int]:
    """Return the instants of the last `most` attempts from an address after `since`, the newest first."""
    own = sign_in_attempts.c
    wanted = select(own.attempted_at).where(own.address == address, own.attempted_at > since, own.attempted_at <= now)
    return list(connection.execute(wanted.order_by(own.attempted_at.desc()).limit(most)).scalars())


def add(connection: Connection, address: str, since: int, now: int) -> None:
    """Store an attempt, and delete the attempts that are no longer needed.

    These are the attempts up to `since`, the attempts later than `now`, and the oldest attempts if there are more than
    `MOST_ROWS`.
    """
    own = sign_in_attempts.c
    added = connection.execute(insert(sign_in_attempts).values(address=address, attempted_at=now))
    newest = added.inserted_primary_key[0] if added.inserted_primary_key else 0
    old = or_(own.attempted_at <= since, own.attempted_at > now, own.seq <= newest - MOST_ROWS)
    connection.execute(delete(sign_in_attempts).where(old))
