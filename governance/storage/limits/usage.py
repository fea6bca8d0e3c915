"""Finds the rules that are closest to their maximum."""

from heapq import nsmallest
from typing import NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection, Row

from governance.domain.limits.limit import SHARE
from governance.storage.limits.states import newest
from governance.storage.tables import counters, rules

Used = Row[str, str, str, int, int]


class NearestRules(NamedTuple):
    """The (limit id, rule id, metric) of the rules closest to their maximum, the closest first.

    `rules` is the number of all rules. `full` is the number of rules with nothing left.
    """

    places: list[tuple[str, str, str]]
    rules: int
    full: int


def nearest(connection: Connection, most: int, now: int) -> NearestRules:
    """Return the rules whose used and reserved amounts are the highest share of their maximum in their current windows.

    Unused rules are left out.
    """
    taken = counters.c.used + counters.c.reserved
    used: Select[str, str, str, int, int] = (
        select(rules.c.model_limit_id, rules.c.id, rules.c.metric, taken, rules.c.max_limit)
        .select_from(rules.join(counters, newest))
        .where(taken > 0, counters.c.window_end > now)
    )
    rows = connection.execute(used).all()
    total = connection.execute(select(func.count()).select_from(rules)).scalar_one()
    places = [(row[0], row[1], row[2]) for row in nsmallest(most, rows, key=_place)]
    return NearestRules(places, total, sum(row[3] >= row[4] for row in rows))


def _place(row: Used) -> tuple[int, str, str, str]:
    """Return the sort key: the exact share in descending order, then the id."""
    limit_id, rule_id, metric, taken, max_limit = row
    return -(taken * SHARE // max_limit), limit_id, rule_id, metric
