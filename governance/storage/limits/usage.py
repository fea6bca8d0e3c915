"""Finds the rules of model limits that are closest to their maximum."""

from heapq import nsmallest
from typing import NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection, Row

from governance.domain.limits.limit import SHARE
from governance.storage.limits.states import newest
from governance.storage.tables import counters, rules

Used = Row[str, str, str, int, int]


class NearestRules(NamedTuple):
    """The rules that are closest to their maximum.

    `places` contains the limit id, the rule id and the metric of each of these rules. The rule that is closest to its
    maximum comes first. `rules` is the number of all stored rules. `full` is the number of rules with nothing left.
    """

    places: list[tuple[str, str, str]]
    rules: int
    full: int


def nearest(connection: Connection, most: int, now: int) -> NearestRules:
    """Return up to `most` rules, sorted by the share of the maximum that is used or reserved in the current window.

    The rule with the highest share comes first. Rules of which nothing is used or reserved are left out.
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
    """Return the sort key. It sorts by the exact share, highest first, and then by the ids."""
    limit_id, rule_id, metric, taken, max_limit = row
    return -(taken * SHARE // max_limit), limit_id, rule_id, metric
