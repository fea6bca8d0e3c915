"""The constraints of the database itself, independent of the code above it."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from governance.domain.times import DAY
from governance.storage.limits import writes
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.tables import api_keys, config_revision, counters, model_limits, rules, virtual_keys
from tests.storage.stored import NOON, count, counted, limit, rule


@pytest.fixture
def connection(database: SqliteDatabase):
    """Yield a transaction on a database with one limit, one rule and one counter.

    The effect of a refused statement is undone.
    """
    with database.read() as connection:
        connection.exec_driver_sql("UPDATE config_revision SET revision = 1")
        writes.add_all(connection, [limit("stored", rule("budget"))], 1)
        count(connection, rule("budget"), NOON, used=5)
        yield connection


def refused(connection: Connection, statement: Any) -> str:
    """Return the constraint that refuses a statement."""
    with pytest.raises(IntegrityError) as told:
        connection.execute(statement)
    return str(told.value.orig)


def identity(row_id: str, **fields: str) -> Any:
    """Return an insert of a limit with an identity."""
    filled = {"model_name": "gpt-4o", "provider": "", "scope": "global", "scope_id": "", "match_provider": ""}
    rest = {"calendar_aligned": False, "timezone": "UTC", "created_at": 1, "updated_at": 1, "version": 1, "revision": 1}
    return insert(model_limits).values(
        {"id": row_id, "match_name": "gpt-4o", "search_name": "gpt-4o", **filled, **rest, **fields}
    )


IDENTITIES = [
    {},
    {"match_provider": "openai"},
    {"scope": "user", "scope_id": "ann"},
    {"scope": "virtual_key", "scope_id": "ann"},
    {"scope": "user", "scope_id": "bob", "match_provider": "openai"},
    {"match_name": "*"},
]


@pytest.mark.parametrize("fields", IDENTITIES)
def test_a_second_limit_of_an_identity_is_refused_also_where_it_has_no_provider(connection, fields):
    connection.execute(identity("first", **fields))
    assert "match_provider" in refused(connection, identity("second", **fields))


def test_identities_that_differ_in_any_part_stand_beside_each_other(connection):
    for number, fields in enumerate(IDENTITIES):
        connection.execute(identity(str(number), **fields))
    assert len(connection.execute(select(model_limits.c.id)).all()) == len(IDENTITIES) + 1


@pytest.mark.parametrize("column", ["provider", "scope", "scope_id", "match_provider", "match_name", "model_name"])
def test_no_part_of_an_identity_can_be_null(connection, column):
    assert f"NOT NULL constraint failed: model_limits.{column}" in refused(
        connection, identity("new", **{column: None})
    )


BAD_LIMITS = [
    ({"scope": "team", "scope_id": "x"}, "ck_model_limits_scope"),
    ({"scope": "global", "scope_id": "x"}, "ck_model_limits_scope_id"),
    ({"scope": "user", "scope_id": ""}, "ck_model_limits_scope_id"),
    ({"id": "stored", "match_name": "other"}, "model_limits.id"),
]


@pytest.mark.parametrize(("fields", "name"), BAD_LIMITS)
def test_a_limit_that_cannot_be_is_refused(connection, fields, name):
    assert name in refused(connection, identity("new").values(fields))


BAD_RULES = [
    ({"metric": "dollars"}, "ck_rules_metric"),
    ({"max_limit": 0}, "ck_rules_max_limit"),
    ({"max_limit": -1}, "ck_rules_max_limit"),
    ({"model_limit_id": "nobody"}, "FOREIGN KEY"),
    ({"id": "budget", "metric": "cost"}, "rules.id, rules.metric"),
]


@pytest.mark.parametrize(("fields", "name"), BAD_RULES)
def test_a_rule_that_cannot_be_is_refused(connection, fields, name):
    row = rule("new")._asdict() | {"model_limit_id": "stored", "position": 1}
    assert name in refused(connection, insert(rules).values(row | fields))


BAD_COUNTS = [
    ({"used": -1}, "ck_counters_used"),
    ({"reserved": -1}, "ck_counters_reserved"),
    ({"used": 2**62, "reserved": 1}, "ck_counters_sum"),
    ({"used": 2**62, "reserved": 2**62}, "ck_counters_sum"),
    ({"used": 2**63 - 1, "reserved": 2**63 - 1}, "ck_counters_sum"),
    ({"window_end": NOON}, "ck_counters_window"),
    ({"window_end": NOON - 1}, "ck_counters_window"),
]


@pytest.mark.parametrize(("fields", "name"), BAD_COUNTS)
def test_a_counter_cannot_be_brought_to_what_cannot_be(connection, fields, name):
    assert name in refused(connection, update(counters).values(fields))


def test_a_counter_holds_the_largest_sum_and_no_more(connection):
    connection.execute(update(counters).values(used=2**62 - 1, reserved=1))
    assert "ck_counters_sum" in refused(connection, update(counters).values(used=counters.c.used + 1))


BAD_COUNTERS = [
    ({}, "counters.window_start"),
    ({"window_start": NOON + DAY, "window_end": NOON + 2 * DAY, "rule_id": "nobody"}, "FOREIGN KEY"),
    ({"window_start": NOON + DAY, "window_end": NOON + 2 * DAY, "metric": "tokens"}, "FOREIGN KEY"),
]


@pytest.mark.parametrize(("fields", "name"), BAD_COUNTERS)
def test_a_counter_of_no_rule_or_of_a_counted_window_is_refused(connection, fields, name):
    with pytest.raises(IntegrityError, match=name):
        count(connection, rule("budget"), NOON, **fields)


def test_a_limit_that_goes_takes_its_rules_and_counters_along(connection):
    connection.execute(delete(model_limits).where(model_limits.c.id == "stored"))
    assert connection.execute(select(rules)).all() == []
    assert connection.execute(select(counters)).all() == []


def test_a_rule_that_goes_takes_its_own_counters_along(connection):
    writes.add_all(connection, [limit("other", rule("kept"))], 1)
    count(connection, rule("kept"), NOON)
    connection.execute(delete(rules).where(rules.c.id == "budget"))
    assert counted(connection, "budget") == []
    assert len(counted(connection, "kept")) == 1


def test_a_counter_s_id_is_never_given_twice(connection):
    before = counted(connection, "budget")[0].id
    connection.execute(delete(counters))
    assert count(connection, rule("budget"), NOON) > before


def test_there_is_one_config_revision(connection):
    assert "ck_config_revision_one_row" in refused(connection, insert(config_revision).values(id=2, revision=1))
    assert connection.execute(select(config_revision.c.id)).scalars().all() == [1]


@pytest.mark.parametrize("column", ["name", "digest"])
def test_two_virtual_keys_share_neither_name_nor_value(connection, column):
    row = {"value_prefix": "", "is_active": True, "calendar_aligned": False, "created_at": 1, "updated_at": 1}
    first = row | {"id": "1", "name": "one", "digest": "a", "search_name": "one", "revision": 1}
    connection.execute(insert(virtual_keys).values(first))
    second = first | {"id": "2", "name": "two", "digest": "b", column: first[column]}
    assert f"virtual_keys.{column}" in refused(connection, insert(virtual_keys).values(second))


def test_two_api_keys_do_not_share_their_secret(connection):
    row = {"name": "x", "key_prefix": "", "digest": "a", "scopes": "read", "created_at": 1, "revision": 1}
    connection.execute(insert(api_keys).values(row | {"id": "1"}))
    assert "api_keys.digest" in refused(connection, insert(api_keys).values(row | {"id": "2"}))
