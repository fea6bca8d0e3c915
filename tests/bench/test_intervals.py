"""Two trees count as different only if the whole interval is on one side of 1."""

from random import Random
from statistics import stdev

import pytest

from bench.intervals import of_ratios


def test_rounds_that_agree_give_the_ratio_itself():
    assert of_ratios([1.25] * 20) == pytest.approx((1.25, 1.25, 1.25))


def test_a_ratio_and_its_inverse_are_alike_far_from_one():
    found, turned = of_ratios([0.5, 0.8, 1.1]), of_ratios([2, 1.25, 1 / 1.1])
    assert (found.ratio, found.low, found.high) == pytest.approx((1 / turned.ratio, 1 / turned.high, 1 / turned.low))


@pytest.mark.parametrize(("rounds", "student"), [(6, 2.571), (11, 2.228), (20, 2.093), (61, 2.0)])
def test_the_interval_is_students(rounds, student):
    ratios = [1 + number / 1e6 for number in range(rounds)]
    reach = student * stdev(ratios) / rounds**0.5
    assert of_ratios(ratios).high - of_ratios(ratios).ratio == pytest.approx(reach, rel=0.003)


def test_the_interval_holds_the_truth_in_95_of_100_runs():
    chance = Random(7)
    runs = [of_ratios([chance.lognormvariate(0.02, 0.05) for _ in range(20)]) for _ in range(1000)]
    assert 930 < sum(run.low <= 1.0202 <= run.high for run in runs) < 970


def test_worse_is_only_what_is_surely_worse():
    noisy, sure = of_ratios([0.9, 1.3] * 10), of_ratios([1.09, 1.11] * 10)
    assert noisy.ratio > 1.05
    assert not noisy.is_worse_than(0.05)
    assert sure.is_worse_than(0.05)
    assert not sure.is_worse_than(0.1)
