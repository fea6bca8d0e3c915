"""How often each limit refused a call."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from governance.domain.metering.denials import Denials
from governance.storage.tables import denials, model_limits


def add(connection: Connection, counted: Mapping[str, tuple[int, int]]) -> None:
    """Add denials, (how many, when last) by limit; a limit that is gone meanwhile is left out."""
    there: Select[Any, Any, Any] = select(bindparam("limit_id"), bindparam("more"), bindparam("at")).where(
        select(model_limits.c.id).where(model_limits.c.id == bindparam("limit_id")).exists()
    )
    statement = insert(denials).from_select(["model_limit_id", "count", "last_at"], there)
    more = statement.on_conflict_do_update(
        index_elements=["model_limit_id"],
        set_={"count": denials.c.count + statement.excluded.count, "last_at": statement.excluded.last_at},
    )
    connection.execute(more, [{"limit_id": key, "more": count, "at": at} for key, (count, at) in counted.items()])


def of_limits(connection: Connection, ids: Sequence[str]) -> dict[str, Denials]:
    """How often these limits refused a call; one that never did is not in the answer."""
    wanted = denials.c.model_limit_id.in_(ids)
    rows = connection.execute(select(denials.c.model_limit_id, denials.c.count, denials.c.last_at).where(wanted))
    return {limit_id: Denials(count, last_at) for limit_id, count, last_at in rows}
