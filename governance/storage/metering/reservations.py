"""Reads reservations. The unit of work writes them."""

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from governance.domain.metering.reservation import Reservation, Status
from governance.domain.records.list_query import Page
from governance.storage.tables import reservations

COLUMNS = [reservations.c[name] for name in Reservation._fields]


def get(connection: Connection, reservation_id: str) -> Reservation | None:
    """Return the reservation with this id, or None."""
    wanted = select(*COLUMNS).where(reservations.c.id == reservation_id, reservations.c.status != Status.REPORTED)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else Reservation._make(row)


def page(connection: Connection, wanted: Page, status: str | None) -> tuple[list[Reservation], int]:
    """Return a page of reservations, newest first, of one status or of all, and their number."""
    matches: list[ColumnElement[bool]] = [
        reservations.c.status == status if status else reservations.c.status != Status.REPORTED
    ]
    total = connection.execute(select(func.count()).select_from(reservations).where(*matches)).scalar_one()
    rows: Any = connection.execute(
        select(*COLUMNS).where(*matches).order_by(reservations.c.seq.desc()).limit(wanted.limit).offset(wanted.offset)
    )
    return [Reservation._make(row) for row in rows], total


def has_lapsed(connection: Connection, now: int) -> bool:
    """Return whether any open reservation is overdue at an instant."""
    lapsed = select(reservations.c.seq).where(reservations.c.status == "open", reservations.c.expires_at <= now)
    return connection.execute(lapsed.limit(1)).first() is not None


def open_count(connection: Connection) -> int:
    """Return how many reservations are open."""
    opened = select(func.count()).select_from(reservations).where(reservations.c.status == "open")
    return int(connection.execute(opened).scalar_one())
