"""Pages of the database are the same whatever was read before; what was learnt saves counting and skipping."""

import random
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from governance.domain.records.pages import Filter, ListQuery, Order, Page
from governance.storage import revisions
from governance.storage.limits import lists, writes
from governance.storage.limits.learnt import Learning
from tests.storage.stored import NOON, limit

ORDERS = [Order(sort_by, descending) for sort_by in ("created_at", "model_name") for descending in (True, False)]
FILTERS = [Filter(), Filter(provider="openai"), Filter(search="1")]


def store(database, numbers):
    """Limits of which some share the instant they were made at."""
    with database.write() as connection:
        revision = revisions.advance(connection)
        for number in numbers:
            made = {"model_name": f"m {number % 9}-{number}", "provider": "openai" if number % 2 else None}
            writes.add(connection, limit(f"{number:03}", created_at=NOON + number // 3, **made), revision)


def remove(database, numbers):
    with database.write() as connection:
        writes.remove(connection, [f"{number:03}" for number in numbers], revisions.advance(connection))


def page(database, query, learning):
    with database.read() as connection:
        found = lists.limits(connection, query, NOON, learning)
    return [entry.limit.id for entry in found.limits], found.total


@contextmanager
def sent(database):
    """The statements and parameters that are sent meanwhile."""
    statements = []

    def note(_connection, _cursor, statement, parameters, *_):
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(database.engine, "before_cursor_execute", note)


def test_a_page_is_what_it_is_however_others_were_read_before(database):
    store(database, range(200))
    chance, learning = random.Random(5), Learning()
    for step in range(300):
        query = ListQuery(
            Page(chance.choice([1, 7, 25]), chance.randrange(230)), chance.choice(FILTERS), chance.choice(ORDERS)
        )
        assert page(database, query, learning) == page(database, query, Learning()), query
        if step % 60 == 59:
            store(database, range(200 + step, 210 + step))
            remove(database, range(step - 59, step - 50))


def test_a_total_is_counted_once_a_revision(database):
    store(database, range(30))
    learning = Learning()
    with sent(database) as statements:
        for _ in range(3):
            assert page(database, ListQuery(filter=Filter(search="1")), learning)[1] == 13
        store(database, [31, 32])
        assert page(database, ListQuery(filter=Filter(search="1")), learning)[1] == 14
    assert len([statement for statement, _ in statements if "count(" in statement]) == 2


@pytest.mark.parametrize("order", ORDERS)
def test_who_pages_through_skips_nothing_twice(database, order):
    store(database, range(200))
    learning = Learning()
    with sent(database) as statements:
        for offset in range(0, 200, 25):
            page(database, ListQuery(Page(25, offset), order=order), learning)
        page(database, ListQuery(Page(25, 175), order=order), learning)
    skipped = [parameters[-1] for statement, parameters in statements if "model_name" in statement]
    assert len(skipped) == 9
    assert max(skipped) <= 25


def test_another_file_in_the_same_place_is_read_anew(database, path, template, opened):
    store(database, range(5))
    learning = Learning()
    assert page(database, ListQuery(), learning)[1] == 5
    other = path.with_name("other.db")
    other.write_bytes(template.read_bytes())
    store(restored := opened(other), range(7))
    for each in (restored, database):
        each.engine.dispose()
    other.replace(path)
    assert page(database, ListQuery(), learning)[1] == 7
