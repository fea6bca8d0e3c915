"""Attempts to sign in are counted by address, over a minute that moves, and by all workers together."""

import pytest
from sqlalchemy import func, select

from governance.services.keys import sign_in_attempts as service
from governance.services.keys.sign_in_attempts import MOST_ATTEMPTS, SignInAttempts
from governance.storage.keys import sign_in_attempts as stored
from governance.storage.tables import sign_in_attempts as table


@pytest.fixture
def attempts(database, clock):
    return SignInAttempts(database, clock)


def test_attempts_above_the_most_wait(attempts):
    assert [attempts.wait("10.0.0.1") for _ in range(MOST_ATTEMPTS + 2)] == [0] * MOST_ATTEMPTS + [60, 60]


def test_refused_attempts_do_not_prolong_the_wait(attempts, clock):
    for _ in range(MOST_ATTEMPTS):
        attempts.wait("10.0.0.1")
    clock.advance(59)
    assert attempts.wait("10.0.0.1") == 1
    clock.advance(1)
    assert attempts.wait("10.0.0.1") == 0


def test_minute_moves(attempts, clock):
    for _ in range(MOST_ATTEMPTS):
        assert attempts.wait("10.0.0.1") == 0
        clock.advance(5)
    assert attempts.wait("10.0.0.1") == 10
    clock.advance(10)
    assert [attempts.wait("10.0.0.1") for _ in range(2)] == [0, 5]


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
    ],
)
def test_ipv6_customer_has_one_network(attempts, first, second, are_one):
    for _ in range(MOST_ATTEMPTS):
        attempts.wait(first)
    assert bool(attempts.wait(second)) == are_one


def test_workers_count_together(attempts, database, clock):
    other = SignInAttempts(database, clock)
    assert [each.wait("10.0.0.1") for _ in range(5) for each in (attempts, other)] == [0] * MOST_ATTEMPTS
    assert attempts.wait("10.0.0.1") == other.wait("10.0.0.1") == 60
    assert other.wait("10.0.0.2") == 0


def test_a_clock_that_steps_back_locks_nobody_out(attempts, clock):
    for _ in range(MOST_ATTEMPTS):
        attempts.wait("10.0.0.1")
    clock.advance(-3600)
    assert attempts.wait("10.0.0.1") == 0


def test_attempts_are_forgotten_and_bounded(attempts, database, clock, monkeypatch):
    monkeypatch.setattr(stored, "MOST_ROWS", 5)

    def rows():
        with database.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    for number in range(8):
        attempts.wait(f"10.0.0.{number}")
    assert rows() == 5
    clock.advance(61)
    attempts.wait("10.0.0.1")
    assert rows() == 1


def test_attempts_are_counted_without_the_database(attempts, database):
    database.close()
    gone = database.path.rename(database.path.with_suffix(".gone"))
    assert [attempts.wait("10.0.0.1") for _ in range(MOST_ATTEMPTS + 1)] == [0] * MOST_ATTEMPTS + [60]
    assert attempts.wait("10.0.0.2") == 0
    gone.rename(database.path)
    assert attempts.wait("10.0.0.1") == 0


def test_addresses_without_the_database_are_bounded(database, clock, monkeypatch):
    monkeypatch.setattr(service, "MOST_OWN", 5)
    attempts = SignInAttempts(database, clock)
    database.close()
    database.path.rename(database.path.with_suffix(".gone"))
    for number in range(8):
        attempts.wait(f"10.0.0.{number}")
    assert len(attempts._own) == 5
