"""A page of the database is a slice of the sorted limits.

Its total is counted once for each config revision of a file.
"""

import random
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from governance.domain.records.list_query import Filter, ListQuery, Order, Page
from governance.storage import revisions
from governance.storage.limits import lists, writes
from tests.storage.stored import NOON, limit

ORDERS = [Order(sort_by, descending) for sort_by in ("created_at", "model_name") for descending in (True, False)]
FILTERS = [Filter(), Filter(provider="openai"), Filter(search="1")]


def numbered(number):
    """Return a limit. Three limits have the same time of creation."""
    made = {"model_name": f"m {number % 9}-{number}", "provider": "openai" if number % 2 else None}
    return limit(f"{number:03}", created_at=NOON + number // 3, **made)


def store(database, numbers):
    with database.write() as connection:
        revision = revisions.advance(connection)
        for number in numbers:
            writes.add_all(connection, [numbered(number)], revision)


def remove(database, numbers):
    with database.write() as connection:
        writes.remove(connection, [f"{number:03}" for number in numbers], revisions.advance(connection))


def page(database, query, totals):
    with database.read() as connection:
        total = totals.of(connection, query.filter)
        found = lists.limits(connection, query, total, NOON)
        assert total == lists.count(connection, query.filter)
    return [entry.limit.id for entry in found], total


def total(database, totals, wanted):
    with database.read() as connection:
        return totals.of(connection, wanted)


def expected(stored, query):
    """Return the same page and total, sorted in Python."""
    passing = [each for each in stored.values() if query.filter.passes(each)]
    by = {"created_at": lambda each: each.created_at, "model_name": lambda each: each.search_name}[query.order.sort_by]
    ids = [each.id for each in sorted(passing, key=lambda each: (by(each), each.id), reverse=query.order.descending)]
    return ids[query.page.offset :][: query.page.limit], len(ids)


@contextmanager
def sent(database):
    """Yield the list of the statements that are sent during the block."""
    statements = []

    def note(_connection, _cursor, statement, *_):
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(database.engine, "before_cursor_execute", note)


def test_pages_and_totals_follow_the_stored_limits(database):
    store(database, range(200))
    stored = {number: numbered(number) for number in range(200)}
    chance, totals = random.Random(5), lists.Totals()
    for step in range(300):
        query = ListQuery(
            Page(chance.choice([1, 7, 25]), chance.randrange(230)), chance.choice(FILTERS), chance.choice(ORDERS)
        )
        assert page(database, query, totals) == expected(stored, query), query
        if step % 60 == 59:
            added, removed = range(200 + step, 210 + step), range(step - 59, step - 50)
            store(database, added)
            remove(database, removed)
            stored |= {number: numbered(number) for number in added}
            stored = {number: each for number, each in stored.items() if number not in removed}


def test_a_total_is_counted_once_a_revision(database):
    store(database, range(30))
    totals = lists.Totals()
    with sent(database) as statements:
        assert [total(database, totals, Filter(search="1")) for _ in range(3)] == [13, 13, 13]
        store(database, [31, 32])
        assert total(database, totals, Filter(search="1")) == 14
    assert len([statement for statement in statements if "count(" in statement]) == 2


@pytest.mark.parametrize("order", ORDERS)
def test_pages_one_after_another_are_the_whole_list(database, order):
    store(database, range(200))
    totals = lists.Totals()
    whole = page(database, ListQuery(Page(200, 0), order=order), totals)[0]
    parts = [page(database, ListQuery(Page(25, offset), order=order), totals)[0] for offset in range(0, 225, 25)]
    assert [limit_id for part in parts for limit_id in part] == whole
    assert len(set(whole)) == 200


def test_another_file_in_the_same_place_is_counted_anew(database, path, template, opened):
    store(database, range(5))
    totals = lists.Totals()
    assert total(database, totals, Filter()) == 5
    other = path.with_name("other.db")
    other.write_bytes(template.read_bytes())
    store(restored := opened(other), range(7))
    for each in (restored, database):
        each.engine.dispose()
    other.replace(path)
    assert total(database, totals, Filter()) == 7
