"""The caller's error after a violated constraint or a failed statement.

A race is a Conflict; a fault of our code is not.
"""

import sqlite3

import pytest
from sqlalchemy import column, insert, literal, select, table, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from governance.domain.errors import Conflict, Unavailable
from governance.storage.limits import writes
from governance.storage.sqlite.errors import PARENTS, UNIQUE
from governance.storage.sqlite.writer.group_commit import GroupCommit
from governance.storage.tables import (
    api_keys,
    config_revision,
    counters,
    denials,
    metadata,
    model_limits,
    rules,
    users,
    virtual_keys,
)
from tests.storage.stored import NOON, count, limit, rule

STORED = "another request has just stored"
DELETED = "another request has just deleted"
KEY = {
    "value_prefix": "",
    "is_active": True,
    "calendar_aligned": False,
    "created_at": 1,
    "updated_at": 1,
    "revision": 1,
}


@pytest.fixture
def filled(database):
    """Return a database with one limit, one rule, one counter, one virtual key, one user and one API key."""
    with database.write() as connection:
        writes.add_all(connection, [limit("stored", rule("budget"))], 1)
        count(connection, rule("budget"), NOON, used=5)
        connection.execute(insert(virtual_keys).values(virtual_key("1", "one", "a")))
        connection.execute(insert(users).values(user("ann")))
        connection.execute(insert(api_keys).values(api_key("1")))
    return database


def virtual_key(row_id, name, digest):
    return KEY | {"id": row_id, "name": name, "digest": digest, "search_name": name, "revision": 1}


def user(row_id):
    return {"id": row_id, "name": "x", "search_name": "x", "created_at": 1, "updated_at": 1, "revision": 1}


def api_key(row_id):
    rest = {"name": "x", "key_prefix": "", "scopes": "read", "created_at": 1, "revision": 1}
    return rest | {"id": row_id, "digest": "a"}


def again(stored, **fields):
    """Return the insert of a stored row again, with other values in some columns."""
    names = [each.name for each in stored.columns if (stored.name, each.name) != ("counters", "id")]
    wanted = [literal(fields[name]) if name in fields else stored.c[name] for name in names]
    return insert(stored).from_select(names, select(*wanted))


def counted(**fields):
    row = {"rule_id": "budget", "metric": "cost", "generation": 0, "window_start": 1, "window_end": 2, "touched_at": 1}
    return insert(counters).values(row | fields)


def raised_by(database, statement):
    """Return the error that a write with a failing statement raises."""
    with pytest.raises(Exception) as told, database.write() as connection:  # noqa: PT011 - the test accepts any error
        connection.execute(statement)
    return told.value


RACES = [
    (again(model_limits, id="other"), f"{STORED} a limit on the same model, provider and scope."),
    (again(model_limits, match_name="other"), f"{STORED} a limit with the same id."),
    (again(rules), f"{STORED} a budget or a rate limit with the same id."),
    (insert(virtual_keys).values(virtual_key("1", "two", "b")), f"{STORED} a virtual key with the same id."),
    (insert(virtual_keys).values(virtual_key("2", "one", "b")), f"{STORED} a virtual key with the same name."),
    (insert(virtual_keys).values(virtual_key("2", "two", "a")), f"{STORED} a virtual key with the same value."),
    (insert(users).values(user("ann")), f"{STORED} a user with the same id."),
    (again(rules, id="new", model_limit_id="gone"), f"{DELETED} the limit of this budget or rate limit."),
    (counted(rule_id="gone"), f"{DELETED} the rule that this usage belongs to."),
    (
        insert(denials).values(model_limit_id="gone", count=1, last_at=1),
        f"{DELETED} the limit that refused these calls.",
    ),
]


@pytest.mark.parametrize(("statement", "sentence"), RACES)
def test_race_is_a_conflict_with_its_own_sentence(filled, statement, sentence):
    error = raised_by(filled, statement)
    assert isinstance(error, Conflict)
    assert error.message == f"Look the list up again: {sentence}"
    assert isinstance(error.__cause__, IntegrityError)


def test_every_race_that_is_told_is_tried():
    assert len(RACES) == len(UNIQUE) + len(PARENTS)


def test_told_unique_constraints_exist():
    known = set()
    for each in metadata.tables.values():
        for constraint in each.constraints:
            known.add(", ".join(f"{each.name}.{column.name}" for column in getattr(constraint, "columns", ())))
    assert known >= set(UNIQUE)


MISTAKES = [
    (insert(api_keys).values(api_key("2")), "api_keys", "UNIQUE constraint failed: api_keys.digest"),
    (insert(api_keys).values(api_key("1") | {"digest": "b"}), "api_keys", "UNIQUE constraint failed: api_keys.id"),
    (again(counters), "counters", "UNIQUE constraint failed: counters.rule_id, counters.metric, counters.generation"),
    (update(rules).values(max_limit=0), "rules", "CHECK constraint failed: ck_rules_max_limit"),
    (update(counters).values(used=-1), "counters", "CHECK constraint failed: ck_counters_used"),
    (update(users).values(name=None), "users", "NOT NULL constraint failed: users.name"),
    (update(config_revision).values(id=2), "config_revision", "CHECK constraint failed: ck_config_revision_one_row"),
    (update(counters).values(id="x"), "counters", "datatype mismatch"),
    (select(column("wrong")).select_from(users), "users", "no such column: wrong"),
    (update(users).where(column("wrong") == 1).values(name="x"), "users", "no such column: wrong"),
    (text("SELEC id FROM users"), "users", 'near "SELEC": syntax error'),
    (text("SELECT wrong(id) FROM users"), "users", "no such function: wrong"),
]


@pytest.mark.parametrize(("statement", "table", "cause"), MISTAKES)
def test_mistake_of_ours_is_logged_and_no_reason_to_try_again(filled, heard, statement, table, cause):
    error = raised_by(filled, statement)
    assert isinstance(error, DBAPIError)
    assert cause in str(error.orig)
    [told] = [each for each in heard() if each.startswith("a statement on the table ")]
    assert told.startswith(f"a statement on the table {table} failed: ")
    assert cause in told


def test_lost_table_is_trouble_of_the_database(filled):
    error = raised_by(filled, select(column("id")).select_from(table("gone")))
    assert isinstance(error, Unavailable)
    assert "its tables are missing; restore a backup" in error.message


def test_faulty_read_is_no_reason_to_try_again(filled):
    with pytest.raises(OperationalError, match="no such column"), filled.read() as connection:
        connection.execute(select(column("wrong")).select_from(users))


def test_mistake_in_an_act_of_metering_is_its_callers_alone(path):
    group = GroupCommit(path, 5, lambda: NOON)
    try:
        with pytest.raises(sqlite3.OperationalError, match="no such column"):
            group.submit(lambda work: work._execute("SELECT wrong FROM counters"))
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: ck_config_revision_one_row"):
            group.submit(lambda work: work._execute("UPDATE config_revision SET id = 2"))
        assert group.fault() is None
    finally:
        group.stop()


def test_mistake_of_ours_is_a_500_for_its_caller(api, monkeypatch):
    body = {"model_name": "gpt-4o", "budget": {"max_limit": 1, "reset_duration": "1d"}}
    row = writes._row
    with monkeypatch.context() as broken:
        broken.setattr(writes, "_row", lambda *args: row(*args) | {"scope": "team"})
        refused = api.post("model-configs", body)
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (500, "internal_error")
    assert "Retry-After" not in refused.headers
    assert api.post("model-configs", body).status_code == 200
