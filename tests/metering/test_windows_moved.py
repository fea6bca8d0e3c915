"""The rules of a time zone change while a counter is open. Its window ends at another time, and nothing is lost."""

import pytest
from sqlalchemy import update

from governance.storage.tables import counters
from tests.conftest import NOON
from tests.metering.conftest import dollars

HOUR = 3_600_000_000


@pytest.fixture
def limit(api, meter):
    made = api.create(budget=dollars(10, "1d"), calendar_aligned=True, timezone="Europe/Berlin")
    meter.reported(cost=4)
    return made


@pytest.mark.parametrize("begun", [{}, {"window_start": NOON - 5 * HOUR}], ids=["same start", "later start"])
def test_a_counter_that_ended_within_the_window_of_now_counts_on(api, meter, limit, database, begun):
    """The counter has another end, as if an earlier version of the time zones had stored it."""
    with database.write() as connection:
        connection.execute(update(counters).values(window_end=NOON + HOUR, **begun))
    meter.advance(2 * 3600)
    assert meter.stands(limit)["cost"] == (4, 0)
    held = meter.hold(cost=5)
    assert meter.denied(cost=2)["error"]["code"] == "budget_exceeded"
    meter.settled(held, cost=5)
    assert meter.stands(limit)["cost"] == (9, 0)
    meter.governance.cache.refresh()
    assert api.list() == api.list(memory=True)
    assert meter.proven() == 1
    meter.advance(24 * 3600)
    assert meter.stands(limit)["cost"] == (0, 0)
    meter.reported(cost=1)
    assert meter.proven() == 2
