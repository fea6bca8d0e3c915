"""Performance floors: the service beside apps that do less for the same request, by processor time and not by rate."""

import pytest

from bench import decide, pages
from bench import list as lists
from bench.load import Sample
from bench.rounds import Measured
from bench.targets import Target

AGAIN = "from memory, the same page again, ÷ bare, requests/CPU s"
NEW = "from memory, never the same page, ÷ bare, requests/CPU s"
DATABASE = "from the database ÷ raw, first page, CPU"
RESERVE = "reserve ÷ no-op, requests/CPU s"


def costing(microseconds: float, seconds: float = 1.0) -> Measured:
    """Return a sample of a thousand requests in some seconds, each with a cost of some microseconds."""
    return Measured((Sample(seconds, [0.001] * 1000, {200: 1000}, cpu=microseconds / 1000, core=1.0),))


def floors(targets: list[Target]) -> dict[tuple[str, float], float]:
    return {(target.what, target.bound): target.measured for target in targets if "CPU" in target.what}


def test_pages_have_floors_by_processor_time():
    first = {
        pages.BARE: costing(100),
        pages.AGAIN: costing(125, seconds=9),
        pages.MEMORY: costing(250, seconds=9),
        pages.RAW: costing(1000),
        pages.DATABASE: costing(2000, seconds=9),
    }
    found = {(1_000, question.name): first for question in pages.questions(1_000)}
    targets = lists.targets(found, (1_000,))
    measured = floors(targets)
    assert measured[AGAIN, 0.8] == pytest.approx(0.8)
    assert measured[NEW, 0.4] == pytest.approx(0.4)
    assert measured[DATABASE, 2.5] == pytest.approx(2)
    assert {target.least for target in targets if target.what in {AGAIN, NEW}} == {True}


def test_reserve_has_a_floor_by_processor_time():
    figures = {decide.NOOP: costing(200), decide.RESERVE.format(decide.FULL): costing(400, seconds=9)}
    targets = decide.targets({1_000: figures}, over=0)
    assert floors(targets)[RESERVE, 0.5] == pytest.approx(0.5)
    assert next(target for target in targets if target.what == RESERVE).least
