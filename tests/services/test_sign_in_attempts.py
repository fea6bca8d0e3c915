"""Attempts to sign in are counted by address, over a minute that moves."""

import pytest

from governance.services.keys.sign_in_attempts import MOST_ATTEMPTS, WITHIN, SignInAttempts


class Seconds:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def attempts(seconds):
    return SignInAttempts(seconds)


def test_attempts_above_the_most_wait(attempts):
    assert [attempts.wait("10.0.0.1") for _ in range(MOST_ATTEMPTS + 2)] == [0] * MOST_ATTEMPTS + [60, 60]


def test_refused_attempts_do_not_prolong_the_wait(attempts, seconds):
    for _ in range(MOST_ATTEMPTS):
        attempts.wait("10.0.0.1")
    seconds.now += WITHIN - 1
    assert attempts.wait("10.0.0.1") == 1
    seconds.now += 1
    assert attempts.wait("10.0.0.1") == 0


def test_minute_moves(attempts, seconds):
    for _ in range(MOST_ATTEMPTS):
        assert attempts.wait("10.0.0.1") == 0
        seconds.now += 5
    assert attempts.wait("10.0.0.1") == 10
    seconds.now += 10
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
