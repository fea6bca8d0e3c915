"""Windows through the API (docs/contract.md §5): bounds, edits that move them, and a clock that steps back."""

import pytest

NANOS = 1_000_000_000
HOUR, DAY = 3600, 86400


def budget(duration, max_limit=50, **fields):
    return {"max_limit": max_limit, "reset_duration": duration} | fields


def tokens(duration):
    return {"token_max_limit": 50, "token_reset_duration": duration}


@pytest.fixture
def shown(api):
    """Return the only limit. The read, the list from the database and the list from memory must agree."""

    def get():
        [limit] = api.list()["model_configs"]
        assert api.list(memory=True)["model_configs"] == [limit]
        assert api.get(f"model-configs/{limit['id']}").get_json()["model_config"] == limit
        return limit

    return get


def span(item):
    """Return the start and the end of the current window of a budget."""
    return [item["last_reset"], item["resets_at"]]


def standing(item):
    """Return the current window of a budget, with its usage and its reservations."""
    return item["last_reset"], item["current_usage"], item["reserved"]


@pytest.mark.parametrize(
    "case",
    [
        ("30s", 0, "2026-11-23T12:00:00.500000Z", "2026-11-23T12:00:30.500000Z"),
        ("1h", 2.5 * HOUR, "2026-11-23T14:00:00.500000Z", "2026-11-23T15:00:00.500000Z"),
        ("1h30m", 10 * HOUR, "2026-11-23T21:00:00.500000Z", "2026-11-23T22:30:00.500000Z"),
        ("1d", 36 * HOUR, "2026-11-24T12:00:00.500000Z", "2026-11-25T12:00:00.500000Z"),
        ("1.5d", 2 * DAY, "2026-11-25T00:00:00.500000Z", "2026-11-26T12:00:00.500000Z"),
        ("1w", 8 * DAY, "2026-11-30T12:00:00.500000Z", "2026-12-07T12:00:00.500000Z"),
        ("1M", 31 * DAY, "2026-12-23T12:00:00.500000Z", "2027-01-22T12:00:00.500000Z"),
        ("1Y", 366 * DAY, "2027-11-23T12:00:00.500000Z", "2028-11-22T12:00:00.500000Z"),
        ("100Y", 366 * DAY, "2026-11-23T12:00:00.500000Z", "2126-10-30T12:00:00.500000Z"),
    ],
)
def test_a_rolling_window_is_counted_from_the_rules_creation(api, clock, shown, case):
    duration, later, *wanted = case
    clock.advance(0.5)
    api.create(budget=budget(duration))
    clock.advance(later)
    assert span(shown()["budget"]) == wanted


def test_a_rule_that_an_edit_adds_is_counted_from_that_edit(api, clock, shown):
    made = api.create(budgets=[budget("1d")])
    clock.advance(HOUR)
    api.put(f"model-configs/{made['id']}", {"budgets": [budget("1d"), budget("1w")], "rate_limits": [tokens("1h")]})
    clock.advance(90 * 60)
    limit = shown()
    assert [item["last_reset"] for item in limit["budgets"]] == ["2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z"]
    assert limit["rate_limit"]["token_last_reset"] == "2026-11-23T14:00:00Z"


@pytest.mark.parametrize(
    "case",
    [
        ("1d", "UTC", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
        ("2d", "UTC", "2026-11-24T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z"),
        ("3d", "UTC", "2026-11-23T12:00:00Z", "2026-11-21T00:00:00Z", "2026-11-24T00:00:00Z"),
        ("1w", "UTC", "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("2w", "UTC", "2026-11-30T12:00:00Z", "2026-11-23T00:00:00Z", "2026-12-07T00:00:00Z"),
        ("1M", "UTC", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ("3M", "UTC", "2026-11-23T12:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("1Y", "UTC", "2026-11-23T12:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("4Y", "UTC", "2026-11-23T12:00:00Z", "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("1d", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("1d", "Europe/Berlin", "2027-03-28T12:00:00Z", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
        ("1w", "Europe/Berlin", "2026-10-21T12:00:00Z", "2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("1M", "Europe/Berlin", "2026-10-15T12:00:00Z", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
        ("1Y", "America/New_York", "2026-11-23T12:00:00Z", "2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z"),
        ("1d", "Asia/Kolkata", "2026-11-23T18:30:00Z", "2026-11-23T18:30:00Z", "2026-11-24T18:30:00Z"),
        ("1d", "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
        ("1M", "Asia/Gaza", "2011-04-15T12:00:00Z", "2011-03-31T22:00:00Z", "2011-04-30T21:00:00Z"),
        ("1d", "America/Havana", "2023-11-05T12:00:00Z", "2023-11-05T04:00:00Z", "2023-11-06T05:00:00Z"),
        ("1d", "America/St_Johns", "2006-10-29T02:45:00Z", "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z"),
        ("1d", "America/Havana", "2023-11-05T05:30:00Z", "2023-11-05T04:00:00Z", "2023-11-06T05:00:00Z"),
    ],
)
def test_an_aligned_window_is_a_calendar_period_of_its_zone(api, clock, shown, case):
    duration, zone, now, *wanted = case
    clock.set(now)
    api.create(calendar_aligned=True, timezone=zone, budget=budget(duration))
    shown_budget = shown()["budget"]
    assert span(shown_budget) == wanted
    assert shown_budget["calendar_aligned"] is True


@pytest.mark.parametrize("duration", ["1h", "24h", "1.5d", "1440m"])
def test_in_an_aligned_limit_other_windows_roll(api, clock, shown, duration):
    clock.advance(7)
    api.create(calendar_aligned=True, budgets=[budget("1w"), budget(duration)])
    short, week = shown()["budgets"]
    assert (short["last_reset"], short["calendar_aligned"]) == ("2026-11-23T12:00:07Z", False)
    assert (week["last_reset"], week["calendar_aligned"]) == ("2026-11-23T00:00:00Z", True)


@pytest.mark.parametrize("aligned", [False, True], ids=["rolling", "aligned"])
def test_a_window_counts_to_its_last_microsecond_and_the_next_begins_empty(api, clock, count, shown, aligned):
    zone = "Europe/Berlin" if aligned else "UTC"
    made = api.create(calendar_aligned=aligned, timezone=zone, budget=budget("1d"), rate_limit=tokens("1d"))
    count(made["budget"]["id"], "cost", used=NANOS, reserved=NANOS)
    count(made["rate_limit"]["id"], "tokens", used=9, reserved=8)
    end = made["budget"]["resets_at"]
    clock.set(end)
    clock.now -= 1
    limit = shown()
    assert standing(limit["budget"]) == (made["budget"]["last_reset"], 1, 1)
    assert (limit["rate_limit"]["token_current_usage"], limit["rate_limit"]["token_reserved"]) == (9, 8)
    clock.now += 1
    limit = shown()
    assert standing(limit["budget"]) == (end, 0, 0)
    rate = limit["rate_limit"]
    assert (rate["token_last_reset"], rate["token_current_usage"], rate["token_reserved"]) == (end, 0, 0)
    assert limit["updated_at"] == made["updated_at"]


def test_the_two_sides_of_a_rate_limit_end_each_in_their_own_time(api, clock, count, shown):
    sides = {"request_max_limit": 5, "request_reset_duration": "1m"} | tokens("1h")
    made = api.create(rate_limit=sides)
    for metric in ("tokens", "requests"):
        count(made["rate_limit"]["id"], metric, used=3)
    clock.advance(60)
    rate = shown()["rate_limit"]
    assert (rate["token_current_usage"], rate["token_last_reset"]) == (3, "2026-11-23T12:00:00Z")
    assert (rate["request_current_usage"], rate["request_last_reset"]) == (0, "2026-11-23T12:01:00Z")


@pytest.mark.parametrize("aligned", [False, True], ids=["rolling", "aligned"])
def test_a_clock_that_steps_back_keeps_the_newest_window_and_what_is_in_it(api, clock, count, shown, aligned):
    made = api.create(calendar_aligned=aligned, budget=budget("1d"))
    count(made["budget"]["id"], "cost", used=NANOS)
    clock.advance(DAY)
    count(made["budget"]["id"], "cost", used=2 * NANOS, reserved=3 * NANOS)
    newest = standing(shown()["budget"])
    assert newest[1:] == (2, 3)
    for step in (-1, -DAY, -40 * DAY, 41 * DAY + 1):
        clock.advance(step)
        assert standing(shown()["budget"]) == newest


def test_what_is_used_after_the_clock_stepped_back_counts_in_the_newest_window(api, clock, shown):
    api.create("m", budget=budget("1d", 5))
    clock.advance(DAY)
    api.post("usage", {"model": "m", "cost": 4})
    clock.advance(-DAY)
    api.post("usage", {"model": "m", "cost": 1})
    denied = api.post("reservations", {"model": "m", "cost": 1})
    assert denied.status_code == 402
    assert api.list()["model_configs"][0]["budget"]["current_usage"] == 5
    clock.advance(DAY)
    assert api.list()["model_configs"][0]["budget"]["current_usage"] == 5


@pytest.fixture
def warnings(api):
    """Return the warnings of `/readyz`. The service must be ready."""

    def get():
        response = api.get("/readyz")
        assert response.status_code == 200, response.text
        return response.get_json()["warnings"]

    return get


def test_a_counter_more_than_a_day_ahead_shows_in_readyz_and_a_day_does_not(api, clock, count, warnings):
    made = api.create(budget=budget("1d"))
    assert warnings() == []
    clock.advance(2 * DAY)
    count(made["budget"]["id"], "cost", used=NANOS)
    assert warnings() == []
    clock.advance(-DAY)
    assert warnings() == []
    clock.now -= 1
    [warning] = warnings()
    assert "reset_usage" in warning
    assert made["id"] not in warning


@pytest.mark.parametrize("aligned", [False, True], ids=["rolling", "aligned"])
def test_reset_usage_brings_a_counter_from_the_future_back_with_its_holds(api, clock, count, shown, aligned):
    made = api.create(calendar_aligned=aligned, budget=budget("1d"))
    item = made["budget"]
    count(item["id"], "cost", used=NANOS, reserved=2 * NANOS)
    clock.advance(9 * DAY)
    count(item["id"], "cost", used=4 * NANOS, reserved=3 * NANOS)
    clock.advance(-9 * DAY)
    assert shown()["budget"]["current_usage"] == 4
    api.put(f"model-configs/{made['id']}", {"reset_usage": True})
    assert standing(shown()["budget"]) == (item["last_reset"], 0, 5)
    assert shown()["updated_at"] == made["updated_at"]
    assert api.get("/readyz").get_json()["warnings"] == []


def test_reset_usage_brings_back_every_counter_from_the_future(api, clock, count, shown, warnings):
    made = api.create(budget=budget("1d"))
    for _ in range(2):
        clock.advance(3 * DAY)
        count(made["budget"]["id"], "cost", used=NANOS, reserved=2 * NANOS)
    clock.advance(-6 * DAY)
    api.put(f"model-configs/{made['id']}", {"reset_usage": True})
    assert standing(shown()["budget"]) == (made["budget"]["last_reset"], 0, 4)
    assert warnings() == []


def test_reset_usage_after_an_edit_brings_back_every_counter_from_the_future(api, clock, count, warnings):
    made = api.create(budget=budget("1d"))
    for _ in range(2):
        clock.advance(3 * DAY)
        count(made["budget"]["id"], "cost", used=NANOS)
    clock.advance(-6 * DAY)
    api.put(f"model-configs/{made['id']}", {"budgets": [budget("1w", id=made["budget"]["id"])]})
    api.put(f"model-configs/{made['id']}", {"reset_usage": True})
    assert warnings() == []


@pytest.fixture
def used(api, clock, count):
    """Create a limit two days ago.

    Its budget of a day has a closed counter, and an open one with $2 used and $3 reserved.
    """
    made = api.create(budgets=[budget("1d")], rate_limits=[tokens("1d")])
    count(made["budget"]["id"], "cost", used=9 * NANOS)
    count(made["rate_limit"]["id"], "tokens", used=9)
    clock.advance(2 * DAY + HOUR)
    count(made["budget"]["id"], "cost", used=2 * NANOS, reserved=3 * NANOS)
    count(made["rate_limit"]["id"], "tokens", used=2, reserved=3)
    return made


def test_an_edit_of_a_maximum_moves_nothing(api, used, shown):
    before = shown()["budget"]
    api.put(f"model-configs/{used['id']}", {"budgets": [budget("1d", 60)]})
    after = shown()["budget"]
    assert after == before | {"max_limit": 60, "updated_at": "2026-11-25T13:00:00Z"}


EDITS = {
    "a longer duration": ({"duration": "1w"}, "2026-11-23T12:00:00Z"),
    "a shorter duration": ({"duration": "1h"}, "2026-11-25T13:00:00Z"),
    "alignment": ({"calendar_aligned": True}, "2026-11-25T00:00:00Z"),
    "alignment in a zone": ({"calendar_aligned": True, "timezone": "Asia/Tokyo"}, "2026-11-24T15:00:00Z"),
    "all at once": ({"duration": "1M", "calendar_aligned": True, "timezone": "Asia/Tokyo"}, "2026-10-31T15:00:00Z"),
}


@pytest.mark.parametrize(("edit", "start"), EDITS.values(), ids=EDITS)
def test_an_edit_of_duration_alignment_or_zone_takes_the_open_counter_along(api, used, shown, edit, start):
    duration = {"duration": "1d"} | edit
    text = duration.pop("duration")
    lists = {
        "budgets": [budget(text, id=used["budget"]["id"])],
        "rate_limits": [tokens(text) | {"id": used["rate_limit"]["id"]}],
    }
    api.put(f"model-configs/{used['id']}", lists | duration)
    limit = shown()
    assert standing(limit["budget"]) == (start, 2, 3)
    rate = limit["rate_limit"]
    assert (rate["token_last_reset"], rate["token_current_usage"], rate["token_reserved"]) == (start, 2, 3)


def test_an_edit_of_the_zone_takes_the_open_counter_of_an_aligned_limit_along(api, used, shown):
    path = f"model-configs/{used['id']}"
    api.put(path, {"calendar_aligned": True})
    api.put(path, {"timezone": "America/New_York"})
    assert standing(shown()["budget"]) == ("2026-11-25T05:00:00Z", 2, 3)
    api.put(path, {"calendar_aligned": False})
    assert standing(shown()["budget"]) == ("2026-11-25T12:00:00Z", 2, 3)


def test_the_windows_of_an_aligned_limit_that_roll_do_not_move_with_its_zone(api, clock, count, shown):
    made = api.create(calendar_aligned=True, budgets=[budget("1h"), budget("1d")])
    for item in made["budgets"]:
        count(item["id"], "cost", used=NANOS)
    api.put(f"model-configs/{made['id']}", {"timezone": "Asia/Tokyo"})
    hour, day = shown()["budgets"]
    assert standing(hour) == ("2026-11-23T12:00:00Z", 1, 0)
    assert standing(day) == ("2026-11-22T15:00:00Z", 1, 0)


def test_an_edit_after_the_window_closed_does_not_reopen_its_counter(api, clock, used, shown):
    clock.advance(2 * DAY)
    path = f"model-configs/{used['id']}"
    for text in ("1M", "1d", "1Y", "1h"):
        api.put(path, {"budgets": [budget(text, id=used["budget"]["id"])]})
        assert standing(shown()["budget"])[1:] == (0, 0)
    api.put(path, {"calendar_aligned": True, "budgets": [budget("1Y", id=used["budget"]["id"])]})
    assert standing(shown()["budget"]) == ("2026-01-01T00:00:00Z", 0, 0)
    clock.set("2026-11-23T18:00:00Z")
    assert standing(shown()["budget"]) == ("2026-01-01T00:00:00Z", 0, 0)


def test_an_edit_while_the_clock_is_back_takes_the_counter_into_the_window_of_now(api, clock, used, shown):
    clock.advance(-2 * DAY)
    api.put(f"model-configs/{used['id']}", {"budgets": [budget("1w", id=used["budget"]["id"])]})
    assert standing(shown()["budget"]) == ("2026-11-23T12:00:00Z", 2, 3)


def test_a_hold_follows_its_counter_through_an_edit(api, clock, shown):
    made = api.create("m", budget=budget("1d"))
    held = api.post("reservations", {"model": "m", "cost": 3, "ttl_seconds": 600}).get_json()["reservation"]
    api.put(f"model-configs/{made['id']}", {"budgets": [budget("1w", id=made["budget"]["id"])]})
    assert standing(shown()["budget"]) == ("2026-11-23T12:00:00Z", 0, 3)
    assert api.post(f"reservations/{held['id']}/settle", {"cost": 2}).status_code == 200
    assert standing(api.list()["model_configs"][0]["budget"]) == ("2026-11-23T12:00:00Z", 2, 0)
