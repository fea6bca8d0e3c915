"""Counters after edits of their rules and after resets. Each counter still equals its ledger."""

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from governance.domain.limits.limit import Rule
from governance.domain.limits.windows import Alignment
from governance.domain.times import DAY, HOUR, MINUTE
from governance.storage.limits import counters, writes
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.tables import counters as table
from governance.storage.tables import ledger
from tests.storage.stored import MIDNIGHT, NOON, count, counted, limit, rule

ROLLING = Alignment(calendar=False, zone="UTC")
ALIGNED = Alignment(calendar=True, zone="UTC")
NOW = NOON + 5 * HOUR
BUDGET = rule("budget")


@pytest.fixture
def connection(database: SqliteDatabase):
    """Yield a transaction on a database with a limit of one budget and one rate limit, both of a day."""
    with database.read() as connection:
        writes.add_all(connection, [LIMIT], 1)
        yield connection


LIMIT = limit("limit", BUDGET, rule("rate", "tokens"), rule("rate", "requests"))


def amounts(connection: Connection, rule_id: str = "budget", metric: str = "cost") -> list[tuple[int, int, int]]:
    """Return (start, used, reserved) of each counter of a rule."""
    return [(row.window_start, row.used, row.reserved) for row in counted(connection, rule_id, metric)]


def regenerate(connection: Connection, before: Rule, after: Rule, alignment: Alignment) -> None:
    """Move the rule's open counter into the window that is current after the edit."""
    counters.regenerate_all(connection, [counters.Move(before, after, alignment)], NOW)


def post(connection: Connection, counter_id: int, *rows: tuple[int, int]) -> None:
    """Add ledger rows with (held, used) to a counter."""
    for held, used in rows:
        seq = len(connection.execute(select(ledger)).all()) + 1
        connection.execute(insert(ledger).values(seq=seq, counter_id=counter_id, held=held, used=used))


def differences(connection: Connection) -> list[str]:
    """Return the counters that differ from their ledger.

    For a correct counter, used = folded + Σ used and reserved = Σ held.
    """
    found = []
    for row in connection.execute(select(table)):
        rows = connection.execute(select(ledger).where(ledger.c.counter_id == row.id)).all()
        proven = row.folded + sum(one.used for one in rows), sum(one.held for one in rows)
        if (row.used, row.reserved) != proven:
            found.append(f"counter {row.id} has {row.used, row.reserved}, its ledger says {proven}")
    known = set(connection.execute(select(table.c.id)).scalars())
    lost = [one.seq for one in connection.execute(select(ledger)) if one.held and one.counter_id not in known]
    return found + [f"hold {seq} is on no counter" for seq in lost]


def test_an_open_counter_moves_with_all_that_is_in_it_into_the_window_of_its_new_setting(connection):
    own = count(connection, BUDGET, NOON, used=7, reserved=3, folded=2)
    regenerate(connection, BUDGET, BUDGET._replace(generation=1), ALIGNED)
    (row,) = counted(connection, "budget")
    assert (row.id, row.generation, row.used, row.reserved, row.folded) == (own, 1, 7, 3, 2)
    assert (row.window_start, row.window_end, row.touched_at) == (MIDNIGHT, MIDNIGHT + DAY, NOW)


def test_a_longer_window_takes_the_open_counter_along(connection):
    count(connection, BUDGET, NOON, used=7, reserved=3)
    longer = BUDGET._replace(reset_duration="1w", generation=1)
    regenerate(connection, BUDGET, longer, ROLLING)
    (row,) = counted(connection, "budget")
    assert (row.window_start, row.window_end, row.used) == (NOON, NOON + 7 * DAY, 7)


def test_a_closed_counter_stays_as_it_was(connection):
    count(connection, BUDGET, NOON - DAY, used=7, reserved=3)
    before = counted(connection, "budget")
    regenerate(connection, BUDGET, BUDGET._replace(generation=1), ALIGNED)
    assert counted(connection, "budget") == before


def test_only_the_newest_of_several_counters_moves(connection):
    for day in range(3):
        count(connection, BUDGET, NOON - day * DAY, used=day + 1)
    regenerate(connection, BUDGET, BUDGET._replace(generation=1), ALIGNED)
    moved = [(row.generation, row.window_start, row.used) for row in counted(connection, "budget")]
    assert moved == [(0, NOON - 2 * DAY, 3), (0, NOON - DAY, 2), (1, MIDNIGHT, 1)]


def test_a_rule_that_was_never_counted_starts_its_new_setting_without_a_counter(connection):
    regenerate(connection, BUDGET, BUDGET._replace(generation=1), ALIGNED)
    assert counted(connection, "budget") == []


def test_back_and_forth_brings_no_closed_counter_back(connection):
    count(connection, BUDGET, NOON - DAY, used=99)
    count(connection, BUDGET, NOON, used=7)
    versions = [BUDGET._replace(generation=generation) for generation in range(3)]
    regenerate(connection, versions[0], versions[1], ALIGNED)
    regenerate(connection, versions[1], versions[2], ROLLING)
    newest = [row for row in counted(connection, "budget") if row.generation == 2]
    assert [(row.window_start, row.used) for row in newest] == [(NOON, 7)]


def test_a_reset_zeroes_what_is_used_now_and_keeps_what_is_held_and_what_is_past(connection):
    count(connection, BUDGET, NOON - DAY, used=5, reserved=1)
    post(connection, count(connection, BUDGET, NOON, used=7, reserved=3), (0, 7), (3, 0))
    counters.reset(connection, LIMIT, NOW)
    assert amounts(connection) == [(NOON - DAY, 5, 1), (NOON, 0, 3)]
    assert counted(connection, "budget")[1].touched_at == NOW


def test_a_reset_reaches_both_metrics_of_a_rate_limit(connection):
    count(connection, LIMIT.rules[1], NOON, used=5)
    count(connection, LIMIT.rules[2], NOON, used=6, reserved=1)
    counters.reset(connection, LIMIT, NOW)
    assert amounts(connection, "rate", "tokens") == [(NOON, 0, 0)]
    assert amounts(connection, "rate", "requests") == [(NOON, 0, 1)]


def test_a_reset_leaves_a_window_that_has_ended_alone(connection):
    count(connection, BUDGET, NOON - DAY, used=5, reserved=1)
    counters.reset(connection, LIMIT, NOW)
    assert amounts(connection) == [(NOON - DAY, 5, 1)]


def test_what_was_used_before_a_reset_stays_provable(connection):
    post(connection, count(connection, BUDGET, NOON, used=9, reserved=3, folded=2), (0, 7), (3, 0))
    assert differences(connection) == []
    counters.reset(connection, LIMIT, NOW)
    assert differences(connection) == []


def test_a_counter_up_to_a_day_ahead_of_the_clock_is_zeroed_where_it_is(connection):
    count(connection, BUDGET, NOW + DAY, used=5, reserved=2)
    counters.reset(connection, LIMIT, NOW)
    assert amounts(connection) == [(NOW + DAY, 0, 2)]


def test_a_counter_further_ahead_is_brought_back_into_the_window_of_now(connection):
    post(connection, count(connection, BUDGET, NOON + 9 * DAY, used=5, reserved=2), (0, 5), (2, 0))
    assert counters.furthest_ahead(connection, NOW).window_start == NOON + 9 * DAY
    counters.reset(connection, LIMIT, NOW)
    assert amounts(connection) == [(NOON, 0, 2)]
    assert counted(connection, "budget")[0].window_end == NOON + DAY
    assert counters.furthest_ahead(connection, NOW) is None
    assert differences(connection) == []


def test_a_counter_brought_back_is_joined_with_the_one_that_stands_there(connection):
    post(connection, count(connection, BUDGET, NOON, used=4, reserved=1, folded=1), (0, 3), (1, 0))
    post(connection, count(connection, BUDGET, NOON + 9 * DAY, used=5, reserved=2), (0, 5), (2, 0))
    assert differences(connection) == []
    counters.reset(connection, LIMIT, NOW)
    assert amounts(connection) == [(NOON, 0, 3)]
    assert differences(connection) == []


def test_a_counter_brought_back_leaves_closed_ones_alone(connection):
    count(connection, BUDGET, NOON - DAY, used=8)
    count(connection, BUDGET, NOON + 9 * DAY, used=5)
    counters.reset(connection, LIMIT, NOW)
    assert amounts(connection) == [(NOON - DAY, 8, 0), (NOON, 0, 0)]


def test_one_reset_removes_every_counter_that_lies_ahead(connection):
    minutes = rule("minutes", reset_duration="1m")
    short = limit("short", minutes)
    writes.add_all(connection, [short], 2)
    for minute in range(3):
        start = NOW + 9 * DAY + minute * MINUTE
        own = count(connection, minutes, start, window_end=start + MINUTE, used=5, reserved=2)
        post(connection, own, (0, 5), (2, 0))
    counters.reset(connection, short, NOW)
    assert counters.furthest_ahead(connection, NOW) is None
    assert amounts(connection, "minutes") == [(NOW, 0, 6)]
    assert differences(connection) == []


def test_an_edit_of_the_window_leaves_no_counter_ahead_that_a_reset_could_not_remove(connection):
    for day in (8, 9):
        count(connection, BUDGET, NOON + day * DAY, used=5)
    after = BUDGET._replace(generation=1)
    edited = LIMIT._replace(calendar_aligned=True, rules=(after, *LIMIT.rules[1:]))
    writes.replace(connection, LIMIT, edited, 2, NOW)
    counters.reset(connection, edited, NOW)
    assert counters.furthest_ahead(connection, NOW) is None


def test_the_counter_furthest_ahead_is_told_only_beyond_a_day(connection):
    count(connection, BUDGET, NOW + DAY)
    assert counters.furthest_ahead(connection, NOW) is None
    count(connection, LIMIT.rules[1], NOW + DAY + 1)
    count(connection, LIMIT.rules[2], NOW + 3 * DAY)
    assert counters.furthest_ahead(connection, NOW) == ("rate", NOW + 3 * DAY)


def test_an_edit_through_the_limit_moves_the_counters_of_changed_rules_alone(connection):
    for each in LIMIT.rules:
        count(connection, each, NOON, used=7)
    edited = tuple(each._replace(generation=1) if each.metric == "tokens" else each for each in LIMIT.rules)
    after = LIMIT._replace(calendar_aligned=True, version=2, rules=edited[:2])
    writes.replace(connection, LIMIT, after, 2, NOW)
    assert amounts(connection) == [(NOON, 7, 0)]
    assert amounts(connection, "rate", "tokens") == [(MIDNIGHT, 7, 0)]
    assert amounts(connection, "rate", "requests") == []


def test_a_rule_that_takes_the_place_of_another_gets_its_open_and_closed_counters(connection):
    old = LIMIT.rules[2]
    for start in (NOON - DAY, NOON):
        own = count(connection, old, start, used=7, reserved=3)
        post(connection, own, (0, 7), (3, 0))
    new = old._replace(id="other", generation=1)
    edited = LIMIT._replace(calendar_aligned=True, version=2, rules=(*LIMIT.rules[:2], new))
    writes.replace(connection, LIMIT, edited, 2, NOW)
    assert amounts(connection, "other", "requests") == [(NOON - DAY, 7, 3), (MIDNIGHT, 7, 3)]
    assert amounts(connection, "rate", "requests") == []
    assert differences(connection) == []


def test_whatever_moves_a_counter_touches_it_later_than_all_before(connection):
    def touched() -> int:
        return connection.execute(select(table.c.touched_at)).scalar_one()

    count(connection, BUDGET, NOON, touched_at=1)
    regenerate(connection, BUDGET, BUDGET._replace(generation=1), ALIGNED)
    moved = touched()
    assert moved >= NOW
    connection.execute(update(table).values(generation=0))
    counters.reset(connection, LIMIT._replace(calendar_aligned=True), NOW)
    assert touched() > moved
