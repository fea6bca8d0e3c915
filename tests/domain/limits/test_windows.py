"""Windows compared with a second, slow definition: local dates, looked up minute by minute.

In this definition a date begins at the first minute at which the zone's calendar shows this date or a later one.
Periods are counted in a list of all days since 1970.
"""

from bisect import bisect
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.domain.limits.durations import parse
from governance.domain.limits.windows import REMEMBERED, Alignment, Window, calendar, day_start, frame, window
from governance.domain.times import DAY, HOUR, MINUTE, from_datetime, parse_rfc3339, rfc3339, to_datetime

DAYS = [date(1970, 1, 1) + timedelta(days=number) for number in range(85_000)]
BEGINNINGS = {
    "d": DAYS,
    "w": [day for day in DAYS if day.weekday() == 0],
    "M": [day for day in DAYS if day.day == 1],
    "Y": [day for day in DAYS if (day.month, day.day) == (1, 1)],
}
CHANGES = [
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),  # the clock goes back from midnight to 23:00
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),  # there is no midnight
    ("Asia/Beirut", "2024-03-30T22:00:00Z"),  # there is no midnight, and the next day is the first of a month
    ("Asia/Beirut", "2024-10-26T21:00:00Z"),
    ("Africa/Cairo", "2024-04-25T22:00:00Z"),
    ("Africa/Cairo", "2024-10-31T21:00:00Z"),  # the clock goes back from midnight, on the last day of a month
    ("America/St_Johns", "1999-10-31T02:31:00Z"),  # the clock goes back over midnight, from 00:01 to 23:01
    ("America/St_Johns", "2006-04-02T03:31:00Z"),
    ("America/Havana", "2023-11-05T05:00:00Z"),  # the clock goes back from 01:00, so there are two midnights
    ("Asia/Gaza", "2011-03-31T22:01:00Z"),  # the clock goes forward at 00:01 on the first of a month
    ("Asia/Gaza", "2012-09-20T22:00:00Z"),
    ("Asia/Amman", "2000-09-28T22:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),  # a whole date is left out
    ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
    ("Australia/Lord_Howe", "2024-04-06T15:00:00Z"),  # the clock changes by half an hour
    ("Antarctica/Troll", "2024-10-27T01:00:00Z"),  # the clock changes by two hours
]
ODD = {zone for zone in available_timezones() if datetime(1970, 1, 2, tzinfo=ZoneInfo(zone)).utcoffset().seconds % 60}

zones = st.sampled_from(sorted(available_timezones() - ODD)) | st.sampled_from([zone for zone, _ in CHANGES])
kinds = st.tuples(st.sampled_from("dwMY"), st.integers(1, 13) | st.integers(1, 40))
instants = st.integers(parse_rfc3339("1973-01-01T00:00:00Z"), parse_rfc3339("2037-12-01T00:00:00Z"))
distances = st.integers(-2 * DAY, 2 * DAY) | st.integers(-90, 90).map(MINUTE.__mul__)
around_changes = st.builds(
    lambda change, far: (change[0], parse_rfc3339(change[1]) + far), st.sampled_from(CHANGES), distances
)
ages = st.integers(parse_rfc3339("1900-01-01T00:00:00Z"), parse_rfc3339("2300-01-01T00:00:00Z"))
TEXTS = ["1s", "7s", "1m", "90m", "24h", "1.5d", "1d", "7d", "10d", "2w", "0.5M", "1M", "3M", "7M", "1Y", "2Y", "100Y"]
durations = st.sampled_from(TEXTS).map(parse)
rules = st.tuples(durations, st.builds(Alignment, st.booleans(), zones), st.integers(0, 1))
often = settings(deadline=None, max_examples=250)


@cache
def begins(zone, day):
    """Return the first minute at which the date in the zone is `day` or later. No offset is more than 16 hours."""
    midnight, there = datetime(day.year, day.month, day.day, tzinfo=UTC), ZoneInfo(zone)
    minutes = (midnight + timedelta(minutes=minute) for minute in range(-16 * 60, 16 * 60))
    return from_datetime(next(moment for moment in minutes if moment.astimezone(there).date() >= day))


def scanned(unit, multiple, zone, now):
    """Return the window by the slow definition."""
    firsts = BEGINNINGS[unit][::multiple]
    index = bisect(firsts, to_datetime(now + 2 * DAY).date()) - 1
    while begins(zone, firsts[index]) > now:
        index -= 1
    return Window(begins(zone, firsts[index]), begins(zone, firsts[index + 1]))


def aligned(text, zone, when):
    """Return the calendar window that contains `when`, as text."""
    start, end = window(parse(text), Alignment(calendar=True, zone=zone), 0, parse_rfc3339(when))
    return rfc3339(start), rfc3339(end)


@given(kinds, zones, instants)
@often
def test_a_calendar_window_is_the_one_that_counting_off_local_dates_finds(kind, zone, now):
    assert calendar(*kind, zone, now) == scanned(*kind, zone, now)


@given(st.sampled_from([("d", 1), ("d", 2), ("w", 1), ("M", 1)]), around_changes)
@settings(deadline=None, max_examples=400)
def test_it_is_so_also_where_the_clock_was_just_changed(kind, place):
    assert calendar(*kind, *place) == scanned(*kind, *place)


@given(durations, st.booleans(), zones, ages, ages)
@often
def test_windows_tile_the_time_without_a_gap_or_an_overlap(duration, is_calendar, zone, anchor, now):
    def at(instant):
        return window(duration, Alignment(is_calendar, zone), anchor, instant)

    found = at(now)
    assert found.start <= now < found.end
    assert at(found.start) == at(found.end - 1) == found
    assert at(found.end).start == found.end
    assert at(found.start - 1).end == found.start


@given(around_changes, st.sampled_from([1, 2, 7]))
@often
def test_windows_tile_also_where_the_clock_was_changed(place, multiple):
    zone, now = place
    found = [calendar("d", multiple, zone, now - 3 * DAY)]
    while found[-1].end <= now + 3 * DAY:
        found.append(calendar("d", multiple, zone, found[-1].end))
    assert all(earlier.end == later.start < later.end for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    ("zone", "during", "start", "end", "hours"),
    [
        ("UTC", "2024-02-29T12:00:00Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", 24),
        ("Asia/Kathmandu", "2026-01-01T12:00:00Z", "2025-12-31T18:15:00Z", "2026-01-01T18:15:00Z", 24),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25),
        ("Australia/Lord_Howe", "2024-04-07T00:00:00Z", "2024-04-06T13:00:00Z", "2024-04-07T13:30:00Z", 24.5),
        ("America/Toronto", "1919-03-31T12:00:00Z", "1919-03-31T04:30:00Z", "1919-04-01T04:00:00Z", 23.5),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", 23),
        ("America/Sao_Paulo", "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z", 25),
        ("Asia/Beirut", "2024-03-31T12:00:00Z", "2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z", 23),
        ("Africa/Cairo", "2024-04-26T12:00:00Z", "2024-04-25T22:00:00Z", "2024-04-26T21:00:00Z", 23),
        ("America/St_Johns", "2000-10-29T02:30:30Z", "2000-10-29T02:30:00Z", "2000-10-30T03:30:00Z", 25),
        ("America/St_Johns", "2000-10-29T02:45:00Z", "2000-10-29T02:30:00Z", "2000-10-30T03:30:00Z", 25),
        ("America/Havana", "2023-11-05T04:30:00Z", "2023-11-05T04:00:00Z", "2023-11-06T05:00:00Z", 25),
        ("America/Havana", "2023-11-05T05:30:00Z", "2023-11-05T04:00:00Z", "2023-11-06T05:00:00Z", 25),
        ("Asia/Gaza", "2012-09-20T22:30:00Z", "2012-09-20T21:00:00Z", "2012-09-21T22:00:00Z", 25),
        ("Asia/Gaza", "2011-03-31T22:00:30Z", "2011-03-31T22:00:00Z", "2011-04-01T21:00:00Z", 23),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", 24),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", 24),
    ],
)
def test_a_day_begins_at_the_first_instant_of_its_local_date(zone, during, start, end, hours):
    assert aligned("1d", zone, during) == (start, end)
    assert parse_rfc3339(end) - parse_rfc3339(start) == hours * HOUR


def test_a_date_that_a_zone_left_out_is_an_empty_day():
    apia = ZoneInfo("Pacific/Apia")
    assert day_start(apia, date(2011, 12, 30)) == day_start(apia, date(2011, 12, 31))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("1d", "2024-02-29", "2024-03-01"),
        ("7d", "2024-02-29", "2024-03-07"),  # counted from Thursday, 1 January 1970
        ("1w", "2024-02-26", "2024-03-04"),
        ("2w", "2024-02-19", "2024-03-04"),  # counted from Monday, 5 January 1970
        ("1M", "2024-02-01", "2024-03-01"),
        ("3M", "2024-01-01", "2024-04-01"),
        ("5M", "2023-10-01", "2024-03-01"),
        ("12M", "2024-01-01", "2025-01-01"),
        ("1Y", "2024-01-01", "2025-01-01"),
        ("2Y", "2024-01-01", "2026-01-01"),
        ("4Y", "2022-01-01", "2026-01-01"),
        ("100Y", "1970-01-01", "2070-01-01"),
    ],
)
def test_windows_of_many_units_are_counted_from_1970(text, start, end):
    assert aligned(text, "UTC", "2024-02-29T23:59:59Z") == (f"{start}T00:00:00Z", f"{end}T00:00:00Z")


@pytest.mark.parametrize("year", range(2023, 2029))
def test_a_month_window_begins_on_the_first_and_a_quarter_every_third_month(year):
    for month in range(1, 13):
        end = f"{year + month // 12}-{month % 12 + 1:02d}-01T00:00:00Z"
        last = rfc3339(parse_rfc3339(end) - 1)
        assert aligned("1M", "UTC", last) == (f"{year}-{month:02d}-01T00:00:00Z", end)
        assert aligned("3M", "UTC", last)[0] == f"{year}-{(month - 1) // 3 * 3 + 1:02d}-01T00:00:00Z"


def test_periods_are_counted_backward_before_1970():
    assert aligned("1d", "UTC", "1969-12-31T12:00:00Z") == ("1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z")
    assert aligned("1w", "UTC", "1970-01-01T00:00:00Z") == ("1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z")
    assert aligned("3M", "UTC", "1969-12-31T12:00:00Z") == ("1969-10-01T00:00:00Z", "1970-01-01T00:00:00Z")
    assert aligned("2Y", "UTC", "1969-12-31T12:00:00Z") == ("1968-01-01T00:00:00Z", "1970-01-01T00:00:00Z")


def test_a_calendar_window_ends_when_the_limits_own_zone_says_so():
    assert aligned("1M", "America/New_York", "2026-01-01T03:00:00Z")[1] == "2026-01-01T05:00:00Z"
    assert aligned("1M", "Asia/Tokyo", "2025-12-31T15:00:00Z")[0] == "2025-12-31T15:00:00Z"


@given(st.lists(st.tuples(kinds, around_changes), min_size=2, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_what_was_asked_before_never_changes_an_answer(questions, chance):
    expected = {question: scanned(*question[0], *question[1]) for question in questions}
    asked = questions * 3
    chance.shuffle(asked)
    assert all(calendar(*kind, *place) == expected[kind, place] for kind, place in asked)


def test_answers_stay_right_when_more_kinds_of_windows_are_asked_for_than_are_remembered():
    now = parse_rfc3339("2026-11-23T12:00:00Z")
    for multiple in [*range(1, REMEMBERED + 3), 1, 2, 3]:
        start = now // (multiple * DAY) * multiple * DAY
        assert calendar("d", multiple, "UTC", now) == (start, start + multiple * DAY)


@given(durations, ages, ages, zones)
@example(parse("1M"), 10 * DAY, 0, "UTC")
@often
def test_a_rolling_window_lies_a_whole_number_of_lengths_from_its_anchor_also_before_it(duration, anchor, now, zone):
    start, end = window(duration, Alignment(calendar=False, zone=zone), anchor, now)
    assert start <= now < end == start + duration.length
    assert (start - anchor) % duration.length == 0


@pytest.mark.parametrize(("text", "days"), [("1d", 1), ("1w", 7), ("1M", 30), ("3M", 90), ("1Y", 365)])
def test_a_rolling_month_has_30_days_and_a_year_365(text, days):
    anchor, rolling = parse_rfc3339("2024-01-31T08:00:00Z"), Alignment(calendar=False, zone="UTC")
    assert window(parse(text), rolling, anchor, anchor) == (anchor, anchor + days * DAY)
    assert window(parse(text), rolling, anchor, anchor + days * DAY).start == anchor + days * DAY
    assert window(parse(text), rolling, anchor, anchor - 1) == (anchor - days * DAY, anchor)


@pytest.mark.parametrize("text", ["30s", "24h", "168h", "1.5d", "0.5M"])
def test_a_window_that_cannot_be_aligned_rolls_in_a_calendar_aligned_limit(text):
    anchor, now = 12_345, parse_rfc3339("2026-11-23T12:00:00Z")
    found = [window(parse(text), Alignment(flag, "Europe/Berlin"), anchor, now) for flag in (True, False)]
    assert found[0] == found[1]
    assert (found[0].start - anchor) % parse(text).length == 0


@given(rules, rules, st.sets(st.sampled_from([0, 1, 2])), ages)
@often
def test_rules_with_equal_frames_have_equal_windows(one, other, differing, now):
    two = tuple(other[part] if part in differing else one[part] for part in range(3))
    assert frame(*one) != frame(*two) or window(*one, now) == window(*two, now)


def test_a_frame_holds_only_what_bears_on_the_windows():
    rolling, berlin = Alignment(calendar=False, zone="UTC"), Alignment(calendar=True, zone="Europe/Berlin")
    tokyo = berlin._replace(zone="Asia/Tokyo")
    assert frame(parse("24h"), rolling, 5) == frame(parse("1d"), rolling, 5) == frame(parse("24h"), tokyo, 5)
    assert frame(parse("24h"), rolling, 5) != frame(parse("24h"), rolling, 6)
    assert frame(parse("1d"), berlin, 5) == frame(parse("1.0d"), berlin, 6)
    assert frame(parse("1d"), berlin, 5) != frame(parse("1d"), tokyo, 5)
    assert len({frame(parse(text), berlin, 5) for text in ("1d", "24h", "7d", "1w", "1M", "1Y")}) == 6
