"""Reads pages of model limits, budgets and rate limits from the database."""

from functools import lru_cache
from threading import Lock
from typing import Any

from cachetools import LRUCache
from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select
from sqlalchemy.engine import Connection

from governance.domain.limits.limit import LimitState, Metric, share
from governance.domain.records.list_query import Filter, ListQuery, Order, Page
from governance.storage import revisions
from governance.storage.functions import contains
from governance.storage.limits import states
from governance.storage.tables import counters, model_limits, rules

SORT_COLUMNS = {"created_at": model_limits.c.created_at, "model_name": model_limits.c.search_name}
CONDITIONS: dict[str, ColumnElement[bool]] = {
    "scope": model_limits.c.scope == bindparam("scope"),
    "scope_id": model_limits.c.scope_id == bindparam("scope_id"),
    "provider": model_limits.c.provider == bindparam("provider"),
    "search": contains(model_limits.c.search_name, bindparam("search")),
}


KEPT_TOTALS = 256


def limits(connection: Connection, query: ListQuery, total: int, now: int) -> list[LimitState]:
    """Return a page of the model limits that match the query's filter. `total` is the number of all of them."""
    wanted = _wanted(query.filter)
    if query.order.sort_by == "usage":
        return _by_usage(connection, query, wanted, now)
    page, from_end = _from_nearer_end(query.page, total)
    statement = _statement(tuple(wanted), query.order, from_end)
    return states.whole(connection, connection.execute(statement, wanted | page._asdict()).all())


def count(connection: Connection, given: Filter) -> int:
    """Return the number of limits that match a filter."""
    wanted = _wanted(given)
    return int(connection.execute(_count(tuple(wanted)), wanted).scalar_one())


class Totals:
    """Caches the number of limits that match each filter.

    A search reads the names of all limits. So the limits are counted again only if the config revision has changed.
    Each edit of a limit, key, user or price raises this number.
    """

    def __init__(self) -> None:
        self._known: LRUCache[tuple[object, int, Filter], int] = LRUCache(KEPT_TOTALS)
        self._lock = Lock()

    def of(self, connection: Connection, wanted: Filter) -> int:
        """Return the number of limits that match a filter, in the state that this transaction sees."""
        key = connection.info["file"], revisions.current(connection), wanted
        with self._lock:
            total = self._known.get(key)
        if total is None:
            total = count(connection, wanted)
            with self._lock:
                self._known[key] = total
        return total


@lru_cache(maxsize=256)
def _count(names: tuple[str, ...]) -> Select[Any]:
    """Return the statement that counts the limits. It is built and compiled once for each set of conditions."""
    return select(func.count()).select_from(model_limits).where(*(CONDITIONS[name] for name in names))


@lru_cache(maxsize=256)
def _statement(names: tuple[str, ...], order: Order, from_end: bool) -> Select[Any]:
    """Return the statement for a page.

    SQLite finds the ids of the page in an index. So for the rows before the page, it reads only index entries.
    """
    columns = [SORT_COLUMNS[order.sort_by], model_limits.c.id]
    forwards = [column.desc() if order.descending else column.asc() for column in columns]
    backwards = [column.asc() if order.descending else column.desc() for column in columns]
    ids = select(model_limits.c.id).where(*(CONDITIONS[name] for name in names))
    ids = ids.order_by(*(backwards if from_end else forwards))
    on_page = model_limits.c.id.in_(ids.limit(bindparam("limit")).offset(bindparam("offset")))
    return states.named_limits.where(on_page).order_by(*forwards)


def _from_nearer_end(page: Page, total: int) -> tuple[Page, bool]:
    """Return the page counted from the nearer end of the list, and whether that is the end with the last row.

    SQLite reads all rows that an offset skips: 80,000 index entries take 2 ms.
    """
    left = max(0, total - page.offset)
    if page.offset <= left:
        return page, False
    limit = min(page.limit, left)
    return Page(limit, left - limit), True


def _wanted(given: Filter) -> dict[str, str]:
    """Return the conditions of a filter, by name."""
    return {name: value for name, value in given._asdict().items() if value}


def _by_usage(connection: Connection, query: ListQuery, wanted: dict[str, str], now: int) -> list[LimitState]:
    """Return a page sorted by the highest used share of each limit, then by id.

    The order is the same as in the snapshot, the copy of the database in memory.
    """
    shares = _shares(connection, now)
    passing = select(model_limits.c.id).where(*(CONDITIONS[name] for name in wanted))
    ids = connection.execute(passing, wanted).scalars().all()
    ranked = sorted(ids, key=lambda limit_id: (shares.get(limit_id, 0), limit_id), reverse=query.order.descending)
    page = ranked[query.page.offset : query.page.offset + query.page.limit]
    found = states.by_ids(connection, page)
    return [found[limit_id] for limit_id in page]


def _shares(connection: Connection, now: int) -> dict[str, int]:
    """Return the highest used share of each limit that has usage in a current window, in units of 1/`SHARE`."""
    found: dict[str, int] = {}
    for limit_id, used, max_limit in connection.execute(_live, {"now": now}):
        found[limit_id] = max(found.get(limit_id, 0), share(used, max_limit))
    return found


_later = counters.alias("later")
_of_rule = ("rule_id", "metric", "generation")
_superseded = exists().where(
    *(_later.c[name] == counters.c[name] for name in _of_rule), _later.c.window_start > counters.c.window_start
)
_live = (
    select(rules.c.model_limit_id, counters.c.used, rules.c.max_limit)
    .select_from(counters.join(rules))
    .where(
        counters.c.used > 0,
        counters.c.window_end > bindparam("now"),
        counters.c.generation == rules.c.generation,
        ~_superseded,
    )
)
"""Selects the usage in current windows. It starts from the counters and not from the rules, because most rules have
no usage in a current window."""


def budgets(connection: Connection, page: Page) -> tuple[list[tuple[str, LimitState]], int]:
    """Return a page of (budget id, limit), newest first, and the total number."""
    return _items(connection, page, rules.c.metric == Metric.COST)


def rate_limits(connection: Connection, page: Page) -> tuple[list[tuple[str, LimitState]], int]:
    """Return a page of (rate limit id, limit), newest first, and the total number."""
    both = rules.alias("both")
    alone = ~exists().where(both.c.id == rules.c.id, both.c.metric == Metric.TOKENS)
    leads = (rules.c.metric == Metric.TOKENS) | ((rules.c.metric == Metric.REQUESTS) & alone)
    return _items(connection, page, leads)


def _items(connection: Connection, page: Page, kind: ColumnElement[bool]) -> tuple[list[tuple[str, LimitState]], int]:
    total = connection.execute(select(func.count()).select_from(rules).where(kind)).scalar_one()
    page, from_end = _from_nearer_end(page, total)
    columns = (rules.c.created_at, rules.c.id)
    rows: Select[str, str] = (
        select(rules.c.id, rules.c.model_limit_id)
        .where(kind)
        .order_by(*(column.asc() if from_end else column.desc() for column in columns))
        .limit(page.limit)
        .offset(page.offset)
    )
    found = connection.execute(rows).all()
    if from_end:
        found = found[::-1]
    limits = states.by_ids(connection, [limit_id for _, limit_id in found])
    return [(item_id, limits[limit_id]) for item_id, limit_id in found], total
