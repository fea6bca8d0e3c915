"""Reads the windows of a limit's rules from their counters. A window in which nothing was used has no counter."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.engine import Connection

from governance.domain.history.windows import CountedWindow
from governance.domain.limits.limit import Rule
from governance.domain.records.list_query import Page
from governance.storage.tables import counters, rules

COLUMNS = (
    counters.c.rule_id,
    counters.c.metric,
    counters.c.window_start,
    counters.c.window_end,
    counters.c.used,
    counters.c.reserved,
    counters.c.max_limit,
)
_of_rule = and_(rules.c.id == counters.c.rule_id, rules.c.metric == counters.c.metric)


def page(
    connection: Connection, limit_id: str, rule_id: str | None, metric: str | None, wanted: Page
) -> tuple[list[CountedWindow], int]:
    """Return a page of a limit's windows, newest first, and the number of all of them.

    `rule_id` and `metric` select the rules.
    """
    own: Select[Any] = select(*COLUMNS).select_from(counters.join(rules, _of_rule))
    own = own.where(rules.c.model_limit_id == limit_id)
    own = own if rule_id is None else own.where(rules.c.id == rule_id)
    own = own if metric is None else own.where(rules.c.metric == metric)
    total = connection.execute(select(func.count()).select_from(own.subquery())).scalar_one()
    newest_first = own.order_by(counters.c.window_start.desc(), rules.c.position, counters.c.id.desc())
    rows = connection.execute(newest_first.limit(wanted.limit).offset(wanted.offset))
    return [CountedWindow(*row) for row in rows], int(total)


def first_start(connection: Connection, rule: Rule) -> int | None:
    """Return the start of the oldest stored window that belongs to a rule's current setting.

    Return None if there is none.
    """
    first: int | None = connection.execute(select(func.min(counters.c.window_start)).where(_of(rule))).scalar_one()
    return first


def at_starts(connection: Connection, rule: Rule, starts: Sequence[int]) -> dict[int, CountedWindow]:
    """Return the stored windows of a rule's current setting that begin at these instants, by start."""
    own = select(*COLUMNS).where(_of(rule), counters.c.window_start.in_(starts))
    return {row.window_start: CountedWindow(*row) for row in connection.execute(own)}


def _of(rule: Rule) -> ColumnElement[bool]:
    return and_(
        counters.c.rule_id == rule.id, counters.c.metric == rule.metric, counters.c.generation == rule.generation
    )
