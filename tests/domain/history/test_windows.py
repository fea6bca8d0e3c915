"""Which past windows compare with the current one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.history.windows import PAST_WINDOWS, comparable
from governance.domain.limits.limit import Rule
from governance.domain.limits.windows import Alignment, window
from governance.domain.times import DAY, HOUR, MINUTE, parse_rfc3339, rfc3339

NOW = parse_rfc3339("2026-11-24T10:30:00Z")  # a Tuesday
ROLLING, BERLIN = Alignment(calendar=False, zone="UTC"), Alignment(calendar=True, zone="Europe/Berlin")


def rule(duration, anchor=0):
    return Rule("r", "cost", 100, duration, anchor, 0, None, 0, 0)


def starts(duration, alignment):
    own = rule(duration)
    current = window(own.duration, alignment, own.anchor, NOW)
    return [rfc3339(each.start) for each in comparable(own, alignment, current)]


@pytest.mark.parametrize(
    ("duration", "alignment", "expected"),
    [
        ("1h", ROLLING, [f"2026-11-{day}T10:00:00Z" for day in (23, 22, 21, 20)]),
        ("1d", ROLLING, [f"2026-{day}T00:00:00Z" for day in ("11-17", "11-10", "11-03", "10-27")]),
        ("1d", BERLIN, [f"2026-{day}:00:00Z" for day in ("11-16T23", "11-09T23", "11-02T23", "10-26T23")]),
        ("1w", BERLIN, [f"2026-{day}:00:00Z" for day in ("11-15T23", "11-08T23", "11-01T23", "10-25T23")]),
        ("1M", BERLIN, [f"2026-{day}:00:00Z" for day in ("09-30T22", "08-31T22", "07-31T22", "06-30T22")]),
        ("1Y", BERLIN, [f"{year}-12-31T23:00:00Z" for year in (2024, 2023, 2022, 2021)]),
    ],
)
def test_windows_compare_with_the_same_time_of_day_or_week_or_with_the_ones_before(duration, alignment, expected):
    assert starts(duration, alignment) == expected


@given(
    minutes=st.integers(1, 60 * 24 * 40),
    anchor=st.integers(0, 40 * DAY),
    now=st.integers(NOW - 400 * DAY, NOW + 400 * DAY),
)
def test_past_windows_are_windows_of_the_rule_and_none_is_twice(minutes, anchor, now):
    own = rule(f"{minutes}m", anchor)
    current = window(own.duration, ROLLING, anchor, now)
    found = list(comparable(own, ROLLING, current))
    assert len(found) <= PAST_WINDOWS
    assert all(after.start >= before.end for after, before in zip([current, *found], found, strict=False))
    assert all(window(own.duration, ROLLING, anchor, each.start) == each for each in found)
    assert len(found) == PAST_WINDOWS or minutes * MINUTE > HOUR
