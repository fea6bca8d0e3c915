"""A public result is made a few times a second, by one thread, and is never older than a second."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from governance.services.operations.throttle import Throttle

MOST = 3


class Timer:
    """A timer in seconds. Only the test moves it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def timer():
    return Timer()


def test_the_first_few_of_a_second_are_made_anew_and_all_others_given_the_last(timer):
    throttle = Throttle(count(1).__next__, MOST, timer)
    assert [throttle.get() for _ in range(10)] == [1, 2, 3] + [3] * 7
    timer.now += 0.99
    assert throttle.get() == 3
    timer.now += 0.01
    assert [throttle.get() for _ in range(10)] == [4, 5, 6] + [6] * 7


def test_who_asks_while_it_is_made_is_given_the_last_one_at_once(timer):
    begun, go_on = Event(), Event()
    numbers = count(1)

    def make():
        number = next(numbers)
        if number > 1:
            begun.set()
            assert go_on.wait(10)
        return number

    throttle = Throttle(make, MOST, timer)
    assert throttle.get() == 1
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(throttle.get)
        assert begun.wait(10)
        assert throttle.get() == 1
        timer.now += 1
        waits = pool.submit(throttle.get)
        timer.now += 1
        go_on.set()
        assert slow.result(10) == 2
        assert waits.result(10) in {2, 3}


def test_what_fails_is_made_again_by_the_next(timer):
    outcomes = iter([0, 1])
    throttle = Throttle(lambda: 2 // next(outcomes), MOST, timer)
    with pytest.raises(ZeroDivisionError):
        throttle.get()
    assert throttle.get() == 2
