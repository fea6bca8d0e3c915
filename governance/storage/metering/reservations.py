"""Reads reservations from the database.

A reservation sets an amount aside for a call before the call is made. Another module writes reservations
(`storage/sqlite/writer/unit_of_work.py`). The same table contains usage that was reported without a reservation. Such a
row has the status `reported`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, select, tuple_
from sqlalchemy.engine import Connection

from governance.domain.errors import Code, InvalidRequest
from governance.domain.metering.reservation import Reservation, Status
from governance.domain.metering.reservation_query import EXACT_TOTAL, ReservationFilter
from governance.domain.names import spelled
from governance.domain.records.list_query import Page
from governance.storage.tables import reservations

MOST_SPELLINGS = 10_000
"""The largest number of (model, provider) pairs that one SQL statement may contain. SQLite allows 32,766 values."""
TOO_MANY = f"Ask for a shorter time: the calls since then name more than {MOST_SPELLINGS:,} models of this provider."
COLUMNS = [reservations.c[name] for name in Reservation._fields]


def get(connection: Connection, reservation_id: str) -> Reservation | None:
    """Return the reservation with this id. Return None if there is none, or if the row was only reported."""
    wanted = select(*COLUMNS).where(reservations.c.id == reservation_id, reservations.c.status != Status.REPORTED)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else Reservation._make(row)


def page(connection: Connection, wanted: Page, which: ReservationFilter) -> tuple[list[Reservation], int | None]:
    """Return a page of the reservations that match, newest first, and the number of all reservations that match.

    The number is None if it is above `EXACT_TOTAL`.
    """
    matches = list(_matches(connection, which))
    counted = select(reservations.c.seq).where(*matches).limit(EXACT_TOTAL + 1).subquery()
    total = connection.execute(select(func.count()).select_from(counted)).scalar_one()
    newest_first = _created(which).desc(), reservations.c.seq.desc()
    rows: Any = connection.execute(
        select(*COLUMNS).where(*matches).order_by(*newest_first).limit(wanted.limit).offset(wanted.offset)
    )
    return [Reservation._make(row) for row in rows], total if total <= EXACT_TOTAL else None


def _created(which: ReservationFilter) -> ColumnElement[Any]:
    """Return the SQL expression by which reservations are sorted.

    Usually it is the column `created_at`. If only open reservations are wanted, it is `created_at + 0`. The database
    cannot use the index on `created_at` for this expression, so it uses the small index of open reservations. With the
    index on `created_at`, it would read all reservations to find the open ones. This takes 31 ms for 100,000
    reservations.
    """
    created = reservations.c.created_at
    return created + 0 if which.status == Status.OPEN and which.since is None else created


def _matches(connection: Connection, which: ReservationFilter) -> Iterator[ColumnElement[bool]]:
    own = reservations.c
    yield own.status == which.status if which.status else own.status != Status.REPORTED
    for name in ("virtual_key_id", "user_id"):
        if getattr(which, name) is not None:
            yield own[name] == getattr(which, name)
    within = list(_within(which))
    yield from within
    if which.provider is not None or which.model is not None:
        spellings = _spellings(connection, which, within)
        yield tuple_(own.model, func.coalesce(own.provider, "")).in_(spellings)


def _within(which: ReservationFilter) -> Iterator[ColumnElement[bool]]:
    if which.since is not None:
        yield reservations.c.created_at >= which.since
    if which.until is not None:
        yield reservations.c.created_at < which.until


def _spellings(
    connection: Connection, which: ReservationFilter, within: Sequence[ColumnElement[bool]]
) -> list[tuple[str, str]]:
    """Return the (model, provider) pairs of stored calls that are spellings of the wanted model and provider.

    Raises InvalidRequest if there are more than `MOST_SPELLINGS` pairs.
    """
    written = select(reservations.c.model, func.coalesce(reservations.c.provider, "")).where(*within).distinct()
    found = [
        (model, provider)
        for model, provider in connection.execute(written)
        if _is_wanted(which, *spelled(model, provider))
    ]
    if len(found) > MOST_SPELLINGS:
        raise InvalidRequest(TOO_MANY, param="since", code=Code.INVALID_PARAMETER)
    return found


def _is_wanted(which: ReservationFilter, provider: str, model: str) -> bool:
    return which.provider in (None, provider) and which.model in (None, model)


class Unsettled(NamedTuple):
    """A virtual key whose reservations have all expired, and the number of these reservations.

    `virtual_key_id` is '' for the calls without a virtual key.
    """

    virtual_key_id: str
    expired: int


def never_settled(connection: Connection, since: int, least: int) -> list[Unsettled]:
    """Return the virtual keys whose ended reservations have all expired. None of them was settled or released.

    Only reservations that were created at or after `since` count. A key with fewer than `least` ended reservations is
    left out. The key with the largest number of reservations comes first.
    """
    own, key = reservations.c, func.coalesce(reservations.c.virtual_key_id, "")
    ended = own.status.not_in([Status.OPEN, Status.REPORTED])
    expired = func.sum(case((own.status == Status.EXPIRED, 1), else_=0))
    found = (
        select(key, func.count())
        .where(own.created_at >= since, ended)
        .group_by(key)
        .having(and_(func.count() >= least, expired == func.count()))
        .order_by(func.count().desc(), key)
    )
    return [Unsettled(*row) for row in connection.execute(found)]


def has_lapsed(connection: Connection, now: int) -> bool:
    """Return whether the `expires_at` of any open reservation is at or before `now`."""
    lapsed = select(reservations.c.seq).where(reservations.c.status == "open", reservations.c.expires_at <= now)
    return connection.execute(lapsed.limit(1)).first() is not None


def open_count(connection: Connection) -> int:
    """Return the number of open reservations."""
    opened = select(func.count()).select_from(reservations).where(reservations.c.status == "open")
    return int(connection.execute(opened).scalar_one())
