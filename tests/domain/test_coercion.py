"""Values of a loosely typed store get the form that the HTTP API expects."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain import coercion
from governance.domain.limits.durations import parse
from governance.domain.times import from_datetime, parse_rfc3339

NOON = parse_rfc3339("2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23 12:00:00+00:00",
        "2026-11-23 13:00:00.000000000+01:00",
        "2026-11-23T12:00:00Z",
        "2026-11-23 12:00:00",
        "2026-11-23 07:00:00 -0500 EST",
        "2026-11-23 12:00:00.0000005 +0000 UTC m=+0.012345",
        1795435200,
        1795435200000,
    ],
)
def test_a_time_as_any_driver_writes_it_is_an_instant(value):
    assert coercion.instant(value) == NOON


@pytest.mark.parametrize("value", [None, "0001-01-01 00:00:00+00:00", "0001-01-01T00:00:00Z"])
def test_no_time_and_gos_zero_time_are_none(value):
    assert coercion.instant(value) is None


@pytest.mark.parametrize("value", ["", "soon", "2026-13-01 00:00:00Z", "2026-11-23", b"2026", 1.5, 10**30, "9" * 99])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match=r".*"):
        coercion.instant(value)


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=offsets)  # noqa: DTZ001 - zones are drawn


@given(moments, st.sampled_from(["%Y-%m-%d %H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S.%f %z XYZ"]))
def test_any_moment_in_any_form_is_read_exactly(moment, form):
    assert coercion.instant(moment.strftime(form)) == from_datetime(moment.astimezone(UTC))


@pytest.mark.parametrize(
    ("value", "flag"), [(1, True), (0, False), ("TRUE", True), ("false", False), (None, None), ("x", "x"), (2, 2)]
)
def test_a_flag_is_a_boolean_and_anything_else_stays(value, flag):
    assert coercion.flag(value) is flag or coercion.flag(value) == flag == value


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        (0.1, 10**8),
        (0.1 + 0.2, 3 * 10**8),
        (5e-10, 1),
        (4e-10, 0),
        (7, 7 * 10**9),
        (-1.0, None),
        (None, None),
        ("", None),
    ],
)
def test_dollars_are_rounded_to_the_nearest_nano_dollar(value, nanos):
    assert coercion.nanos(value) == nanos


@given(st.floats(allow_nan=False))
def test_any_float_becomes_a_decimal_or_no_amount(value):
    assert isinstance(coercion.dollars(value), Decimal)
    assert coercion.nanos(value) is None or abs(Decimal(coercion.nanos(value)) - Decimal(value) * 10**9) <= 1 + Decimal(
        value
    )


@given(st.integers(1, 100))
def test_quarters_are_three_months_each(number):
    quarters = parse(coercion.duration(f"{number}Q"))
    assert (quarters.unit, quarters.multiple) == ("M", 3 * number)


@pytest.mark.parametrize("value", ["1d", "1.5Q", "Q", None, 5])
def test_other_durations_stay_as_they_are(value):
    assert coercion.duration(value) == value
