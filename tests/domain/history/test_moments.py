"""A point in time as a query gives it, and the span between two of them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.errors import InvalidRequest
from governance.domain.history.calendar import Calendar
from governance.domain.history.moments import parse, span_of
from governance.domain.limits import durations
from governance.domain.times import DAY, parse_rfc3339, rfc3339

NOW = parse_rfc3339("2026-11-23T12:00:00Z")
UTC, TOKYO = Calendar("UTC"), Calendar("Asia/Tokyo")


def shown(since, until=None, calendar=UTC):
    given = [None if each is None else parse(each) for each in (since, until)]
    span = span_of(*given, calendar, NOW, NOW + 1)
    return rfc3339(span.start), rfc3339(span.end)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T12:00:00Z", NOW),
        ("2026-11-23", date(2026, 11, 23)),
        ("30d", durations.parse("30d")),
        ("1h30m", durations.parse("1h30m")),
    ],
)
def test_a_time_a_day_and_a_duration_are_told_apart(text, moment):
    assert parse(text) == moment


@given(st.text(alphabet="0123456789-:TZdhwMY+. ", max_size=24))
def test_other_text_is_a_value_error(text):
    try:
        parse(text)
    except ValueError:
        return
    assert text[0].isdigit()


def test_without_since_a_span_begins_30_days_before_its_end_or_now():
    assert shown(None) == ("2026-10-24T00:00:00Z", "2026-11-23T12:00:00.000001Z")
    assert shown(None, "2026-10-01") == ("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
    assert shown(None, "2026-12-31") == ("2026-10-24T00:00:00Z", "2026-12-31T00:00:00Z")


def test_days_begin_at_midnight_in_the_calendar():
    assert shown("2026-11-20", "1d", TOKYO) == ("2026-11-19T15:00:00Z", "2026-11-21T15:00:00Z")
    assert shown("36h", "1.5h") == ("2026-11-22T00:00:00Z", "2026-11-23T10:30:00Z")


def test_a_span_stays_between_1970_and_a_year_from_now():
    assert shown("0001-01-01", "9999-12-31") == ("1970-01-01T00:00:00Z", "2027-11-24T12:00:00Z")
    assert span_of(parse("100Y"), None, TOKYO, NOW, NOW + 1).start == TOKYO.day_of(0)


@pytest.mark.parametrize(
    ("since", "until", "param"),
    [("2026-11-24", None, "since"), ("2026-11-24", "2026-11-20", "since"), ("1d", "2d", "until")],
)
def test_a_span_that_cannot_be_is_refused_by_its_field(since, until, param):
    with pytest.raises(InvalidRequest) as error:
        span_of(parse(since), until and parse(until), UTC, NOW, NOW + DAY)
    assert [fault.param for fault in error.value.faults] == [param]
