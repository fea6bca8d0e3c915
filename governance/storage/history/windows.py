"""Reads the windows of a limit's rules from their counters.

A rule sets a maximum of dollars, tokens or requests in each time window. A counter contains the usage of a rule in one
window. A window in which nothing was used has no counter. If an edit changes the windows of a rule, it raises the
rule's generation, a number. Each counter belongs to one generation.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, and_, func, select, tuple_
from sqlalchemy.engine import Connection

from governance.domain.history.windows import CountedWindow
from governance.domain.limits.item_matching import RuleKey
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
_whole = tuple_(counters.c.rule_id, counters.c.metric, counters.c.generation, counters.c.window_start)


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


def first_starts(connection: Connection, limit_ids: Sequence[str]) -> dict[RuleKey, int]:
    """Return the start of each rule's oldest stored window, by the rule's key.

    Only windows of the rule's current generation count. Rules without such a window are left out.
    """
    of_setting = and_(_of_rule, counters.c.generation == rules.c.generation)
    first = select(func.min(counters.c.window_start)).where(of_setting).scalar_subquery()
    own = select(rules.c.id, rules.c.metric, first).where(rules.c.model_limit_id.in_(limit_ids))
    return {(rule_id, metric): start for rule_id, metric, start in connection.execute(own) if start is not None}


def at_starts(connection: Connection, starts: Iterable[tuple[Rule, int]]) -> dict[tuple[RuleKey, int], CountedWindow]:
    """Return the stored windows with these starts, by the rule's key and start.

    Only windows of the rule's current generation count.
    """
    wanted = [(*rule.key, rule.generation, start) for rule, start in starts]
    rows = connection.execute(select(*COLUMNS).where(_whole.in_(wanted))) if wanted else ()
    return {((row.rule_id, row.metric), row.window_start): CountedWindow(*row) for row in rows}
