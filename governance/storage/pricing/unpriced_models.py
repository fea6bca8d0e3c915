"""Counts, for each model, the calls that needed a price when no price was known.

The command `doctor` lists these models.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from governance.domain.pricing.overrides import ModelKey
from governance.domain.times import DAY
from governance.storage.tables import unpriced_models

MOST_MODELS = 1000
"""The largest number of models that are counted.

Callers choose the names of models. The bound prevents callers from filling the disk with many names.
"""
KEPT = 30 * DAY

_table = unpriced_models
_known = select(_table.c.provider, _table.c.model)
_add = (
    update(_table)
    .where(_table.c.provider == bindparam("of_provider"), _table.c.model == bindparam("of_model"))
    .values(count=_table.c.count + bindparam("more"), last_at=bindparam("at"))
)


class UnpricedModel(NamedTuple):
    """A model without a known price, the number of calls that needed the price, and the time of the last such call.

    `last_at` is in microseconds.
    """

    provider: str
    model: str
    calls: int
    last_at: int


def add(connection: Connection, counted: Mapping[ModelKey, tuple[int, int]]) -> None:
    """Add new calls to the stored numbers. `counted` maps a model to (number of calls, time of the last call).

    First, models whose last call was more than `KEPT` ago are removed, so that there is room for new models. If
    `MOST_MODELS` models are then stored, new models are not counted.
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
    """Return the models whose last call was at or after `since`. The model with the most calls comes first."""
    rows = select(_table).where(_table.c.last_at >= since)
    ordered = rows.order_by(_table.c.count.desc(), _table.c.provider, _table.c.model)
    return [UnpricedModel._make(row) for row in connection.execute(ordered)]
