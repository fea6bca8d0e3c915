"""Pages of model limits, budgets and rate limits, straight from the database."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select
from sqlalchemy.engine import Connection

from governance.domain.limits import Metric, Scoped, usage_share
from governance.domain.pages import Filter, ListQuery, Order, Page
from governance.storage import scoped
from governance.storage.tables import counters, model_limits, rules
from governance.storage.totals import Totals

SORT_COLUMNS = {"created_at": model_limits.c.created_at, "model_name": model_limits.c.search_name}
CONDITIONS: dict[str, ColumnElement[bool]] = {
    "scope": model_limits.c.scope == bindparam("scope"),
    "scope_id": model_limits.c.scope_id == bindparam("scope_id"),
    "provider": model_limits.c.provider == bindparam("provider"),
    "search": func.instr(model_limits.c.search_name, bindparam("search")) > 0,
}


class Found(NamedTuple):
    """A page of limits, and how many match in all."""

    limits: list[Scoped]
    total: int


def limits(connection: Connection, query: ListQuery, now: int, totals: Totals) -> Found:
    """A page of model limits."""
    wanted = _wanted(query.filter)
    count, page = _statements(tuple(wanted), query.order)
    total = totals.of(connection, count, wanted)
    if query.order.sort_by == "usage":
        return Found(_by_usage(connection, page, query, now), total)
    rows = connection.execute(page, wanted | query.page._asdict()).all()
    return Found(scoped.whole(connection, rows), total)


@lru_cache(maxsize=256)
def _statements(names: tuple[str, ...], order: Order) -> tuple[Select[Any], Select[Any]]:
    """How many limits pass, and a page of them: made once for each set of conditions, and compiled once with it.

    The page's ids come from an index alone: what an offset skips is never read whole.
    """
    wanted = [CONDITIONS[name] for name in names]
    count: Select[Any] = select(func.count()).select_from(model_limits).where(*wanted)
    if order.sort_by == "usage":
        return count, select(model_limits.c.id).where(*wanted)
    columns = [SORT_COLUMNS[order.sort_by], model_limits.c.id]
    ordered = [column.desc() if order.descending else column.asc() for column in columns]
    ids = select(model_limits.c.id).where(*wanted).order_by(*ordered)
    on_page = model_limits.c.id.in_(ids.limit(bindparam("limit")).offset(bindparam("offset")))
    return count, scoped.named_limits.where(on_page).order_by(*ordered)


def _wanted(given: Filter) -> dict[str, str]:
    """The conditions that a filter sets, by name."""
    return {name: value for name, value in given._asdict().items() if value}


def _by_usage(connection: Connection, passing: Select[Any], query: ListQuery, now: int) -> list[Scoped]:
    """The used ones sorted by us, the same way as from memory; the unused ones stand behind them by id."""
    share = {
        item.limit.id: usage_share(item, now) for item in scoped.by_ids(connection, _used(connection, now)).values()
    }
    ids = connection.execute(passing, _wanted(query.filter)).scalars().all()
    ranked = sorted(ids, key=lambda limit_id: (share.get(limit_id, 0), limit_id), reverse=query.order.descending)
    page = ranked[query.page.offset : query.page.offset + query.page.limit]
    found = scoped.by_ids(connection, page)
    return [found[limit_id] for limit_id in page]


def _used(connection: Connection, now: int) -> list[str]:
    used = (
        select(rules.c.model_limit_id)
        .select_from(rules.join(counters, scoped.newest))
        .where(counters.c.used > 0, counters.c.window_end > now)
    )
    return list(connection.execute(used.distinct()).scalars())


def budgets(connection: Connection, page: Page) -> tuple[list[tuple[str, Scoped]], int]:
    """A page of budgets, newest first: (budget id, the limit it is in), and how many there are."""
    return _items(connection, page, rules.c.metric == Metric.COST)


def rate_limits(connection: Connection, page: Page) -> tuple[list[tuple[str, Scoped]], int]:
    """A page of rate limits, newest first: (rate limit id, the limit it is in), and how many there are."""
    both = rules.alias("both")
    alone = ~exists().where(both.c.id == rules.c.id, both.c.metric == Metric.TOKENS)
    leads = (rules.c.metric == Metric.TOKENS) | ((rules.c.metric == Metric.REQUESTS) & alone)
    return _items(connection, page, leads)


def _items(connection: Connection, page: Page, kind: ColumnElement[bool]) -> tuple[list[tuple[str, Scoped]], int]:
    total = connection.execute(select(func.count()).select_from(rules).where(kind)).scalar_one()
    rows: Select[str, str] = (
        select(rules.c.id, rules.c.model_limit_id)
        .where(kind)
        .order_by(rules.c.created_at.desc(), rules.c.id.desc())
        .limit(page.limit)
        .offset(page.offset)
    )
    found = connection.execute(rows).all()
    limits = scoped.by_ids(connection, [limit_id for _, limit_id in found])
    return [(item_id, limits[limit_id]) for item_id, limit_id in found], total
