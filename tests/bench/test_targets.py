"""The benchmark judges itself correctly: when a target is met, and how a miss is shown."""

import pytest

from bench.targets import Target, worst


@pytest.mark.parametrize(("measured", "least", "met"), [(2.0, False, True), (2.0, True, True), (2.1, False, False)])
def test_a_figure_at_its_bound_keeps_it(measured, least, met):
    assert Target("it", measured, 2.0, least=least).met is met


def test_a_miss_tells_by_which_share_of_the_bound():
    assert Target("it", 0.68, 0.85, least=True).verdict == "**missed** by 20%"
    assert Target("it", 45, 30, unit="ms").verdict == "**missed** by 50%"


def test_a_miss_of_nothing_at_all_tells_by_how_much():
    assert Target("over a cap", 0.96, 0, unit="dollars").verdict == "**missed** by 0.96 dollars"
    assert Target("over a cap", 0, 0, unit="dollars").verdict == "met"


def test_a_row_tells_bound_and_figure_in_their_unit():
    assert Target("reserve", 2345.6, 2000, least=True, unit="requests/s").row() == [
        "reserve",
        "≥ 2,000 requests/s",
        "2,346 requests/s",
        "met",
    ]


def test_a_target_for_every_size_is_told_at_the_worst():
    found = {1_000: 0.9, 10_000: 0.8, 100_000: 0.95}
    assert worst("a page", found, 0.85, least=True) == Target("a page (worst: at 10,000)", 0.8, 0.85, least=True)
    assert worst("a page", found, 0.85).measured == 0.95


def test_a_target_reads_back_as_it_was_written_down():
    target = Target("a page", 0.8, 0.85, least=True)
    assert Target.of(target._asdict()) == target
