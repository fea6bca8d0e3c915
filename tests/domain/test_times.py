"""Instants and their RFC 3339 text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.times import DAY, HOUR, MINUTE, SECOND, from_datetime, parse_rfc3339, rfc3339, to_datetime

FIRST = from_datetime(datetime(1, 1, 1, tzinfo=UTC))
LAST = from_datetime(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))

instants = st.integers(FIRST, LAST)
often = settings(deadline=None, max_examples=150)


@given(instants)
@often
def test_what_is_written_is_read_back_exactly(instant):
    assert parse_rfc3339(rfc3339(instant)) == instant


@given(instants)
@often
def test_an_instant_is_written_in_utc_with_a_z_and_a_fraction_only_where_there_is_one(instant):
    text = rfc3339(instant)
    seconds, dot, fraction = text.removesuffix("Z").partition(".")
    assert text.endswith("Z")
    assert datetime.fromisoformat(seconds).replace(tzinfo=UTC) == to_datetime(instant - instant % SECOND)
    assert (dot, fraction) == ((".", f"{instant % SECOND:06d}") if instant % SECOND else ("", ""))


@given(instants)
@often
def test_an_instant_becomes_a_datetime_and_back_without_a_rounding(instant):
    moment = to_datetime(instant)
    assert moment.utcoffset() == timedelta(0)
    assert from_datetime(moment) == instant


@given(st.integers(FIRST + DAY, LAST - DAY), st.integers(-1439, 1439))
@often
def test_an_offset_is_another_way_to_write_the_same_instant(instant, minutes):
    there = to_datetime(instant).astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_rfc3339(there.isoformat()) == instant


def test_an_offset_east_of_greenwich_names_an_earlier_instant():
    here = parse_rfc3339("2026-11-23T12:00:00Z")
    assert parse_rfc3339("2026-11-23T12:00:00+05:30") == here - 5 * HOUR - 30 * MINUTE
    assert parse_rfc3339("2026-11-23T12:00:00-08:00") == here + 8 * HOUR
    assert parse_rfc3339("2026-11-23T12:00:00-00:00") == here


def test_the_epoch_is_instant_nought():
    assert parse_rfc3339("1970-01-01T00:00:00Z") == 0
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999Z"


@pytest.mark.parametrize("text", ["2024-02-29t12:00:00z", "2024-02-29 12:00:00Z", "2024-02-29T12:00:00.000Z"])
def test_small_letters_and_a_blank_for_the_t_are_read_too(text):
    assert rfc3339(parse_rfc3339(text)) == "2024-02-29T12:00:00Z"


@given(st.integers(1, 9), st.data())
@often
def test_digits_beyond_the_microsecond_are_dropped(length, data):
    digits = data.draw(st.text("0123456789", min_size=length, max_size=length))
    assert parse_rfc3339(f"1970-01-01T00:00:00.{digits}Z") == int(digits) * SECOND // 10**length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "2026-11-23T12:00:00",
        "2026-11-23T12:00Z",
        "20261123T120000Z",
        "2026-W48-1T12:00:00Z",
        "2026-11-23T12:00:00.Z",
        "2026-11-23T12:00:00,5Z",
        "2026-11-23T12:00:00.1234567890Z",
        "2026-11-23T12:00:00+0100",
        "2026-11-23T12:00:00+01",
        "2026-11-23T12:00:00Z\n",
        " 2026-11-23T12:00:00Z",
        "2026-11-23_12:00:00Z",
        "-2026-11-23T12:00:00Z",
        "12026-11-23T12:00:00Z",
        "٢٠٢٦-11-23T12:00:00Z",
        "1780000000",
        "now",
    ],
)
def test_a_text_of_another_form_names_no_instant(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00-99:00",
    ],
)
def test_a_date_or_a_time_that_no_clock_shows_names_no_instant(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_rfc3339(text)


@pytest.mark.parametrize("offset", ["+00:60", "+01:99", "-05:75"])
def test_an_offset_has_at_most_59_minutes(offset):
    with pytest.raises(ValueError, match=r".*"):
        parse_rfc3339(f"2026-01-01T00:00:00{offset}")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"])
def test_an_instant_that_could_not_be_written_again_is_not_read(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_rfc3339(text)
