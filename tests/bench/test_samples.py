"""The figures that are computed from the timed responses of a run."""

import pytest

from bench.load import Sample
from bench.rounds import Measured, by_rate

HUNDRED = Sample(
    seconds=2.0, latencies=[number / 1000 for number in range(1, 101)], statuses={200: 100}, cpu=0.5, core=0.7
)


def test_a_rate_counts_every_second_that_passed():
    assert HUNDRED.rate == 50


def test_the_cost_of_a_request_is_in_microseconds_of_the_servers_time():
    assert HUNDRED.cost == pytest.approx(5000)


def test_a_disturbance_is_the_share_of_the_core_that_others_used():
    assert HUNDRED.disturbance == pytest.approx(0.1)


@pytest.mark.parametrize(("share", "latency"), [(0.5, 0.051), (0.99, 0.1), (1.0, 0.1)])
def test_a_percentile_is_a_latency_that_occurred(share, latency):
    assert HUNDRED.percentile(share) == latency


def test_rounds_give_their_median_and_the_worst_of_all():
    slow = HUNDRED._replace(seconds=4.0, latencies=[*HUNDRED.latencies[:-1], 0.9])
    measured = Measured((HUNDRED, slow, HUNDRED._replace(seconds=1.0)))
    assert measured.rate == (50, 25, 100)
    assert measured.worst == 0.9


def test_cases_are_compared_round_by_round_so_that_a_slow_round_slows_both():
    slow, slower = HUNDRED._replace(seconds=20.0), HUNDRED._replace(seconds=8.0)
    ours, theirs = Measured((slow, HUNDRED, HUNDRED)), Measured((slower, slower, HUNDRED._replace(seconds=1.0)))
    assert ours.beside(theirs, by_rate) == pytest.approx(0.5)
