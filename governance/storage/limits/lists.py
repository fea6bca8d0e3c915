"""Pages of model limits, budgets and rate limits, straight from the database."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select, tuple_
from sqlalchemy.engine import Connection

from governance.domain.limits.limit import Metric, Scoped, share
from governance.domain.records.pages import Filter, ListQuery, Order, Page
from governance.storage.limits import states
from governance.storage.limits.learnt import Learning, Learnt, Place, Values
from governance.storage.tables import counters, model_limits, rules

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


def limits(connection: Connection, query: ListQuery, now: int, learning: Learning) -> Found:
    """A page of model limits."""
    wanted, learnt = _wanted(query.filter), learning.of(connection)
    total = learnt.total(_values(wanted))
    if total is None:
        total = int(connection.execute(_count(tuple(wanted)), wanted).scalar_one())
        learnt.count(_values(wanted), total)
    if query.order.sort_by == "usage":
        return Found(_by_usage(connection, query, wanted, now), total)
    return Found(states.whole(connection, _page(connection, query, wanted, learnt)), total)


def _page(connection: Connection, query: ListQuery, wanted: dict[str, str], learnt: Learnt) -> Sequence[Any]:
    """The rows of a page, from the nearest row on of which it is known where it stands."""
    values, order, page = _values(wanted), query.order, query.page
    place = learnt.before(values, order, page.offset)
    begin = {} if place is None else {"value": place.value, "id": place.id}
    skipped = page.offset - (place.offset if place else 0)
    statement = _statement(tuple(wanted), order, from_place=place is not None)
    rows = connection.execute(statement, wanted | begin | {"limit": page.limit, "offset": skipped}).all()
    for offset, row in ((page.offset, rows[0]), (page.offset + len(rows) - 1, rows[-1])) if rows else ():
        learnt.stand(values, order, Place(offset, getattr(row, SORT_COLUMNS[order.sort_by].name), row.id))
    return rows


@lru_cache(maxsize=256)
def _count(names: tuple[str, ...]) -> Select[Any]:
    """How many limits pass: made once for each set of conditions, and compiled once with it."""
    return select(func.count()).select_from(model_limits).where(*(CONDITIONS[name] for name in names))


@lru_cache(maxsize=256)
def _statement(names: tuple[str, ...], order: Order, *, from_place: bool) -> Select[Any]:
    """A page of the limits that pass. Its ids come from an index alone: what an offset skips is never read whole."""
    columns = [SORT_COLUMNS[order.sort_by], model_limits.c.id]
    ordered = [column.desc() if order.descending else column.asc() for column in columns]
    ids = select(model_limits.c.id).where(*(CONDITIONS[name] for name in names)).order_by(*ordered)
    if from_place:
        row, place = tuple_(*columns), tuple_(bindparam("value"), bindparam("id"))
        ids = ids.where(row <= place if order.descending else row >= place)
    on_page = model_limits.c.id.in_(ids.limit(bindparam("limit")).offset(bindparam("offset")))
    return states.named_limits.where(on_page).order_by(*ordered)


def _wanted(given: Filter) -> dict[str, str]:
    """The conditions that a filter sets, by name."""
    return {name: value for name, value in given._asdict().items() if value}


def _values(wanted: dict[str, str]) -> Values:
    return tuple(wanted.items())


def _by_usage(connection: Connection, query: ListQuery, wanted: dict[str, str], now: int) -> list[Scoped]:
    """The used ones sorted by us, the same way as from memory; the unused ones stand behind them by id."""
    shares = _shares(connection, now)
    passing = select(model_limits.c.id).where(*(CONDITIONS[name] for name in wanted))
    ids = connection.execute(passing, wanted).scalars().all()
    ranked = sorted(ids, key=lambda limit_id: (shares.get(limit_id, 0), limit_id), reverse=query.order.descending)
    page = ranked[query.page.offset : query.page.offset + query.page.limit]
    found = states.by_ids(connection, page)
    return [found[limit_id] for limit_id in page]


def _shares(connection: Connection, now: int) -> dict[str, int]:
    """The highest share used of each limit of which something is used."""
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
"""What is used in the windows of now; begins with the counters, since most rules have none."""


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
    limits = states.by_ids(connection, [limit_id for _, limit_id in found])
    return [(item_id, limits[limit_id]) for item_id, limit_id in found], total
