"""Usage is imported with its window, and continues in it. A value that is no amount or no time is reported."""

import pytest

from tests.bifrost.conftest import read
from tests.metering.conftest import ok

MORNING = "2026-11-23 08:00:00.5+00:00"
MIDNIGHT = "2026-11-23 00:00:00+00:00"


def test_usage_goes_on_in_its_window_which_ends_when_bifrosts_would(store, imported, api, clock, meter):
    rate = store.rate_limit(
        token_max_limit=100,
        token_reset_duration="6h",
        token_current_usage=40,
        token_last_reset=MORNING,
        request_max_limit=9,
        request_reset_duration="1d",
        request_current_usage=7,
        request_last_reset="2026-11-23 07:00:00Z",
    )
    limit = store.limit(rate_limit_id=rate)
    store.budget(limit, last_reset=MORNING, current_usage=3.25)
    assert imported().said["with_usage"] == 3
    found = read(api, limit)
    assert found["budget"]["current_usage"] == 3.25
    assert found["budget"]["last_reset"] == "2026-11-23T08:00:00.500000Z"
    assert found["budget"]["resets_at"] == "2026-11-24T08:00:00.500000Z"
    assert (found["rate_limit"]["token_current_usage"], found["rate_limit"]["request_current_usage"]) == (40, 7)
    assert found["rate_limit"]["token_resets_at"] == "2026-11-23T14:00:00.500000Z"
    assert found["rate_limit"]["request_resets_at"] == "2026-11-24T07:00:00Z"
    assert api.get("model-configs").data == api.get("model-configs?from_memory=true").data
    meter.reported(cost=1, tokens=2)
    assert meter.stands({"id": limit}) == {"cost": (4.25, 0), "tokens": (42, 0), "requests": (8, 0)}
    assert meter.proven() == 3
    clock.set("2026-11-24T08:00:00.500000Z")
    assert read(api, limit)["budget"]["current_usage"] == 0


def test_a_window_that_has_ended_brings_no_usage_and_the_next_ones_follow_it(store, imported, api, meter):
    limit = store.limit()
    budget = store.budget(limit, last_reset="2026-11-20 10:00:00Z", current_usage=9)
    assert imported().remarks(budget) == ["Its window has ended: it starts at 0."]
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["last_reset"]) == (0, "2026-11-23T10:00:00Z")
    assert meter.proven() == 0


def test_the_window_of_a_budget_that_was_never_reset_begins_with_it(store, imported, api):
    limit = store.limit()
    store.budget(limit, last_reset="0001-01-01 00:00:00+00:00", current_usage=9, created_at="2026-11-22 15:00:00Z")
    imported()
    assert (read(api, limit)["budget"]["current_usage"], read(api, limit)["budget"]["last_reset"]) == (
        0,
        "2026-11-22T15:00:00Z",
    )


@pytest.mark.parametrize(("last_reset", "used"), [(MIDNIGHT, 5), (MORNING, 5), ("2026-11-22 23:59:59Z", 0)])
def test_a_calendar_aligned_window_follows_the_calendar(store, imported, api, last_reset, used):
    limit = store.limit(calendar_aligned=1)
    store.budget(limit, last_reset=last_reset, current_usage=5)
    imported()
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["last_reset"]) == (used, "2026-11-23T00:00:00Z")


def test_alignment_of_windows_that_cannot_be_aligned_is_dropped(store, imported, api):
    limit = store.limit(calendar_aligned=1)
    store.budget(limit, reset_duration="1h")
    imported()
    assert read(api, limit)["calendar_aligned"] is False


def test_several_calendar_periods_count_whole_here_and_the_report_says_so(store, imported, api):
    limit = store.limit(calendar_aligned=1)
    budget = store.budget(limit, reset_duration="3M", last_reset="2026-11-01 00:00:00Z", current_usage=5)
    assert "several periods" in imported().remarks(budget)[0]
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["resets_at"]) == (5, "2027-01-01T00:00:00Z")


def test_a_window_that_begins_in_the_future_begins_now(store, imported, api):
    limit = store.limit()
    budget = store.budget(limit, last_reset="2026-12-23 00:00:00Z", current_usage=5)
    assert imported().remarks(budget) == ["Its window begins in the future: here it begins now."]
    found = read(api, limit)["budget"]
    assert (found["current_usage"], found["last_reset"]) == (5, "2026-11-23T12:00:00Z")


def test_imported_usage_can_be_reset_and_verified(store, imported, api, meter):
    limit = store.limit()
    store.budget(limit, last_reset=MORNING, current_usage=2)
    imported()
    meter.reported(cost=1)
    ok(api.put(f"model-configs/{limit}", {"reset_usage": True}))
    meter.reported(cost=0.5)
    assert meter.stands({"id": limit}) == {"cost": (0.5, 0)}
    assert meter.proven() == 1


ROUNDED = ["Its usage was rounded to the billionth of a dollar."]
USAGE = [
    (0.1 + 0.2, 0.3, ROUNDED),
    (0.0000000015, 0.000000002, ROUNDED),
    (2, 2, []),
    (-0.5, 0, ["current_usage is -0.5, which is no amount: it starts at 0."]),
    ("lots", 0, ["current_usage is 'lots', which is no amount: it starts at 0."]),
    (None, 0, []),
    (11, 11, []),
    (9e11, 1_000_000_000, []),
]


@pytest.mark.parametrize("case", USAGE, ids=str)
def test_odd_usage_of_money_is_rounded_or_dropped_and_told(store, imported, api, case):
    usage, used, remarks = case
    limit = store.limit()
    budget = store.budget(limit, last_reset=MORNING, current_usage=usage)
    assert imported().remarks(budget) == remarks
    assert read(api, limit)["budget"]["current_usage"] == used


def test_tokens_that_are_not_whole_are_rounded_up(store, imported, api):
    rate = store.rate_limit(
        token_max_limit=50, token_reset_duration="1d", token_last_reset=MORNING, token_current_usage=12.5
    )
    limit = store.limit(rate_limit_id=rate)
    assert imported().remarks(rate) == ["token_current_usage is 12.5: it was rounded up."]
    assert read(api, limit)["rate_limit"]["token_current_usage"] == 13


def test_a_maximum_finer_than_a_billionth_is_rounded_and_told(store, imported, api):
    limit = store.limit()
    budget = store.budget(limit, max_limit=0.12345678949)
    assert imported().remarks(budget) == ["Its maximum of 0.12345678949 was rounded to the billionth of a dollar."]
    assert read(api, limit)["budget"]["max_limit"] == 0.123456789


def test_a_last_reset_that_is_no_time_brings_no_usage_and_is_told(store, imported, api):
    limit = store.limit()
    budget = store.budget(limit, last_reset="recently", current_usage=5)
    assert imported().remarks(budget) == [
        "last_reset is 'recently', which is no time.",
        "Its window has ended: it starts at 0.",
    ]
    assert read(api, limit)["budget"]["current_usage"] == 0
