"""Stores, for each model limit, how many calls it refused and when it last refused one."""

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, exists, insert, literal, select, update
from sqlalchemy.engine import Connection

from governance.domain.metering.denial_counts import Denials
from governance.storage.tables import denials, model_limits

_counted = exists().where(denials.c.model_limit_id == model_limits.c.id)
_uncounted = select(model_limits.c.id, literal(0), literal(0)).where(
    model_limits.c.id == bindparam("limit_id"), ~_counted
)
_begin = insert(denials).from_select(["model_limit_id", "count", "last_at"], _uncounted)
_add = (
    update(denials)
    .where(denials.c.model_limit_id == bindparam("limit_id"))
    .values(count=denials.c.count + bindparam("more"), last_at=bindparam("at"))
)


def add(connection: Connection, counted: Mapping[str, tuple[int, int]]) -> None:
    """Add new refusals to the stored numbers.

    `counted` maps the id of a limit to (number of refused calls, time of the last refusal). Ids of deleted limits are
    skipped.
    """
    rows = [{"limit_id": key, "more": count, "at": at} for key, (count, at) in counted.items()]
    connection.execute(_begin, rows)
    connection.execute(_add, rows)


def of_limits(connection: Connection, ids: Sequence[str]) -> dict[str, Denials]:
    """Return a dict from limit id to the refused calls of the limit. Limits that refused no call are left out."""
    wanted = denials.c.model_limit_id.in_(ids)
    rows = connection.execute(select(denials.c.model_limit_id, denials.c.count, denials.c.last_at).where(wanted))
    return {limit_id: Denials(count, last_at) for limit_id, count, last_at in rows}
