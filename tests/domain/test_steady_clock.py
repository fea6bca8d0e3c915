"""A clock that jumps is trusted after it has run steadily for a while. Until then, time passes as the timer says."""

from hypothesis import given
from hypothesis import strategies as st

from governance.domain.steady_clock import ClockReading, SteadyClock, agree
from governance.domain.times import DAY, SECOND

NOON = 1_790_000_000 * SECOND
LEAST = 5


class Machine:
    """A clock that jumps, and a timer that does not."""

    def __init__(self):
        self.clock, self.timer = NOON, 1000.0

    def run(self, seconds):
        self.clock += int(seconds * SECOND)
        self.timer += seconds

    def jump(self, microseconds):
        self.clock += microseconds


def started():
    """Return a machine and its steady clock, which has run long enough to be trusted."""
    machine = Machine()
    steady = SteadyClock(lambda: machine.clock, lambda: machine.timer, LEAST)
    machine.run(LEAST)
    steady.look()
    return machine, steady


def test_nothing_is_old_before_the_clock_has_run_for_a_while():
    machine = Machine()
    steady = SteadyClock(lambda: machine.clock, lambda: machine.timer, LEAST)
    assert steady() == 0
    machine.run(LEAST - 0.001)
    assert steady() == 0
    machine.run(0.001)
    assert steady() == machine.clock


@given(st.lists(st.floats(0.001, 1e6), min_size=1))
def test_while_nothing_jumps_it_says_the_clocks_time(pauses):
    machine, steady = started()
    for pause in pauses:
        machine.run(pause)
        assert steady() == machine.clock
        steady.look()
        assert steady() == machine.clock


@given(st.integers(2 * SECOND, 10_000 * DAY), st.sampled_from([1, -1]))
def test_a_jump_is_believed_when_the_second_look_finds_the_clock_there(ahead, sign):
    machine, steady = started()
    before = machine.clock
    machine.jump(sign * ahead)
    assert steady() == before
    steady.look()
    machine.run(LEAST - 1)
    steady.look()
    assert steady() == before + (LEAST - 1) * SECOND
    machine.run(1)
    steady.look()
    assert steady() == machine.clock


@given(st.integers(2 * SECOND, 10_000 * DAY), st.floats(0.1, LEAST - 0.1))
def test_a_clock_that_comes_back_was_never_believed(ahead, while_away):
    machine, steady = started()
    machine.jump(ahead)
    steady.look()
    machine.run(while_away)
    steady.look()
    machine.jump(-ahead)
    for _ in range(3):
        assert abs(steady() - machine.clock) <= 2
        steady.look()
        machine.run(LEAST)


def test_a_clock_that_is_slowed_to_be_set_right_does_not_jump():
    assert agree(ClockReading(NOON, 0), ClockReading(NOON + 3600 * SECOND + 2 * SECOND, 3600 * SECOND))
    assert not agree(ClockReading(NOON, 0), ClockReading(NOON + 7200 * SECOND, 3600 * SECOND))
