"""Responses that are stored for repeats are small, and are returned unchanged."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import func, select, text

from governance.storage.sqlite.writer.answers import NOTED_AGAIN, AnswerStore, AnswerTextsCache, StoredAnswer
from governance.storage.tables import answer_texts, answers
from tests.metering.conftest import DAY, dollars, tokens

MOST_BYTES = 500
ANSWERS = 600


@pytest.fixture
def eight_rules(api):
    """Create four limits of two rules each that apply to one call."""
    api.post("virtual-keys", {"id": "vk", "name": "team alpha"})
    for scope in ({}, {"scope": "virtual_key", "scope_id": "vk"}):
        for model in ("gpt-4o", "*"):
            api.create(model, provider="openai", budget=dollars(100, "1M"), rate_limit=tokens(10**7), **scope)


@pytest.fixture
def stored_texts(database):
    """Return the number of stored texts."""

    def count():
        with database.read() as connection:
            return connection.execute(select(func.count()).select_from(answer_texts)).scalar_one()

    return count


def keep(api, number, path="reservations"):
    """Store a response that is almost unlike any other one."""
    body = {"model": "gpt-4o", "provider": "openai", "virtual_key_id": "vk"}
    body |= {"cost": 0.0001 * (number % 97), "tokens": 100 + number * 7919 % 4001}
    response = api.post(path, body, headers={"Idempotency-Key": f"call-{number}-{number * 2654435761 % 2**32:x}"})
    assert response.status_code == 200, response.text
    return response


def bytes_each(database, table):
    """Return the bytes on disk of one row of a table, with its share of indexes and pages.

    They are measured in a file of its own.
    """
    with database.read() as connection:
        made = connection.execute(text("SELECT sql FROM sqlite_master WHERE tbl_name = :name"), {"name": table.name})
        ddl = ";".join(sql for (sql,) in made if sql)
        rows = connection.execute(select(table).order_by(table.c.seq)).all()
    with closing(sqlite3.connect(":memory:")) as alone:
        alone.executescript(ddl)
        alone.executemany(f"INSERT INTO {table.name} VALUES ({','.join('?' * len(table.columns))})", rows)
        return alone.execute("PRAGMA page_count").fetchone()[0] * 4096 / len(rows)


@pytest.mark.usefixtures("eight_rules")
def test_a_kept_answer_of_eight_rules_takes_at_most_500_bytes(api, clock, database, stored_texts):
    for number in range(ANSWERS):
        clock.advance(1.234567)
        keep(api, number)
    assert bytes_each(database, answers) <= MOST_BYTES
    assert stored_texts() == 9


@pytest.mark.usefixtures("eight_rules")
@pytest.mark.parametrize("path", ["reservations", "usage"])
def test_answers_come_back_equal_after_edits_renames_and_deletions(api, clock, path, other):
    given_first = [keep(api, number, path) for number in range(20)]
    for limit in api.list()["model_configs"]:
        api.put(f"model-configs/{limit['id']}", {"budget": dollars(7, "1w"), "model_name": "o3"})
    api.put("virtual-keys/vk", {"name": "another name"})
    given_first += [keep(api, number, path) for number in range(20, 40)]
    for limit in api.list()["model_configs"]:
        api.delete(f"model-configs/{limit['id']}")
    api.delete("virtual-keys/vk")
    for again in (api, other.api):
        repeats = [keep(again, number, path) for number in range(40)]
        assert {repeat.headers["Idempotent-Replayed"] for repeat in repeats} == {"true"}
        assert [repeat.data for repeat in repeats] == [first.data for first in given_first]


@pytest.mark.usefixtures("eight_rules")
def test_a_text_is_stored_once_for_all_workers(api, other, stored_texts):
    keep(api, 1)
    keep(other.api, 2)
    assert stored_texts() == 9


@pytest.mark.usefixtures("eight_rules")
def test_a_text_leaves_when_no_answer_refers_to_it_any_more(api, meter, clock, stored_texts, database):
    keep(api, 1)
    for limit in api.list()["model_configs"]:
        api.put(f"model-configs/{limit['id']}", {"budget": dollars(7)})
    with database.write() as connection:  # as if as many reservations had been stored between the two
        connection.execute(text("UPDATE sqlite_sequence SET seq = seq + :n"), {"n": NOTED_AGAIN})
    clock.advance(DAY / 2)
    first = keep(api, 2)
    meter.poll()
    assert stored_texts() == 9 + 4
    clock.advance(DAY / 2 + 60)
    meter.poll()
    assert stored_texts() == 9
    assert keep(api, 2).data == first.data
    clock.advance(DAY)
    meter.poll()
    assert stored_texts() == 9  # the text is kept for the next response of this worker, whose cache has it
    assert keep(api, 3).data == keep(api, 3).data


TEXTS = some.lists(some.text(max_size=200), max_size=5).map(tuple)


@given(texts=TEXTS, body=some.binary(max_size=3000))
def test_any_bytes_come_back_whatever_they_are_compressed_beside(texts, body):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE answers (seq, digest, fingerprint, created_at, texts, body)")
        connection.execute("CREATE TABLE answer_texts (id INTEGER PRIMARY KEY, digest UNIQUE, text, last_use)")
        kept = AnswerStore(connection, AnswerTextsCache())
        (row,) = kept.rows({("a", "b", "c"): StoredAnswer(1, b"f", body, texts)}, 7)
        connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
        assert kept.get(("a", "b", "c"), 6) == (b"f", body)
        assert kept.get(("a", "b", "c"), 7) is None
