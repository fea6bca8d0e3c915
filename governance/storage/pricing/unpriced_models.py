"""Counts the calls without a known price, by model. `doctor` shows the models."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from governance.domain.pricing.overrides import ModelKey
from governance.domain.times import DAY
from governance.storage.tables import unpriced_models

MOST_MODELS = 1000
"""The most models that are kept. Callers choose the names of models, and must not fill the disk with them."""
KEPT = 30 * DAY

_table = unpriced_models
_known = select(_table.c.provider, _table.c.model)
_add = (
    update(_table)
    .where(_table.c.provider == bindparam("of_provider"), _table.c.model == bindparam("of_model"))
    .values(count=_table.c.count + bindparam("more"), last_at=bindparam("at"))
)


class UnpricedModel(NamedTuple):
    """A model without a known price: the number of calls that needed one, and the time of the last (microseconds)."""

    provider: str
    model: str
    calls: int
    last_at: int


def add(connection: Connection, counted: Mapping[ModelKey, tuple[int, int]]) -> None:
    """Add counts, given as (number, time of the last) by model. At `MOST_MODELS`, new models are not counted.

    Models that were last counted more than `KEPT` ago are removed, so that new ones find room.
    """
    newest = max(at for _, at in counted.values())
    connection.execute(delete(_table).where(_table.c.last_at < newest - KEPT))
    known = {(provider, model) for provider, model in connection.execute(_known)}
    rows = [
        {"of_provider": provider, "of_model": model, "more": count, "at": at}
        for (provider, model), (count, at) in counted.items()
    ]
    new = [row for row in rows if (row["of_provider"], row["of_model"]) not in known]
    for row in new[: MOST_MODELS - len(known)]:
        values = {"provider": row["of_provider"], "model": row["of_model"], "count": 0, "last_at": 0}
        connection.execute(insert(_table).values(values))
    if rows:
        connection.execute(_add, rows)


def recent(connection: Connection, since: int) -> list[UnpricedModel]:
    """Return the models that were counted since an instant, those with the most calls first."""
    rows = select(_table).where(_table.c.last_at >= since)
    ordered = rows.order_by(_table.c.count.desc(), _table.c.provider, _table.c.model)
    return [UnpricedModel._make(row) for row in connection.execute(ordered)]
