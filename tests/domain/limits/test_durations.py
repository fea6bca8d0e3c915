"""The grammar of durations, and the length of each duration."""

import re
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.domain.limits.durations import EXAMPLES, parse
from governance.domain.times import DAY, HOUR, MINUTE, SECOND

UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "M": 30 * DAY, "Y": 365 * DAY}
FORMS = {*(f"#{unit}" for unit in UNITS), "#h#m", "#h#s", "#m#s", "#h#m#s"}

numbers = st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,6})?", fullmatch=True)
often = settings(deadline=None, max_examples=200)


def shape(text):
    """Return the text with each number replaced by `#`."""
    return re.sub(r"[0-9]+(\.[0-9]+)?", "#", text)


def length(text):
    """Return the length in microseconds, computed with fractions. Parts of a microsecond are dropped."""
    return int(sum(Fraction(number) * UNITS[unit] for number, unit in re.findall(r"([0-9.]+)([a-zA-Z])", text)))


def read_or_none(text):
    try:
        return parse(text)
    except ValueError:
        return None


@given(st.lists(numbers, min_size=3, max_size=3), st.sampled_from(sorted(FORMS)))
@often
def test_a_duration_is_exactly_as_long_as_its_numbers_say_or_refused_for_its_length(values, form):
    text = "".join(map("".join, zip(values, form.split("#")[1:], strict=False)))
    found = read_or_none(text)
    assert found is not None if SECOND <= length(text) <= 36_500 * DAY else found is None
    assert found is None or (found.text, found.length) == (text, length(text))


@given(st.text("0123456789.hmsdwMYHSDWy -+e٣", max_size=12))
@example("1.5.2d")
@example("1h1h")
@often
def test_nothing_outside_the_grammar_is_read(text):
    found = read_or_none(text)
    assert found is None or (shape(text) in FORMS and found.length == length(text))


@given(st.text())
@often
def test_any_text_is_read_or_refused_with_a_value_error(text):
    assert read_or_none(text) is None or shape(text) in FORMS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", SECOND),
        ("30s", 30 * SECOND),
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("1h30m", 90 * MINUTE),
        ("1h30m15s", HOUR + 30 * MINUTE + 15 * SECOND),
        ("2h5s", 2 * HOUR + 5 * SECOND),
        ("90m30s", 90 * MINUTE + 30 * SECOND),
        ("1.5h", 90 * MINUTE),
        ("0.5h0.5m", 30 * MINUTE + 30 * SECOND),
        ("0h0m1s", SECOND),
        ("1.000001s", SECOND + 1),
        ("1d", DAY),
        ("1.5d", 36 * HOUR),
        ("1w", 7 * DAY),
        ("1M", 30 * DAY),
        ("3M", 90 * DAY),
        ("1Y", 365 * DAY),
        ("100Y", 36_500 * DAY),
        ("007d", 7 * DAY),
    ],
)
def test_lengths_are_exact_and_a_month_is_30_days_and_a_year_365(text, expected):
    assert parse(text).length == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1",
        "d",
        "h",
        "1 d",
        " 1d",
        "1d ",
        "1d\n",
        "-1d",
        "+1d",
        ".5d",
        "1.d",
        "1,5d",
        "1e3s",
        "1_000s",
        "0x1d",
        "1d12h",
        "1w1d",
        "1M1d",
        "30m1h",
        "1s1m",
        "1h1h",
        "1ms",
        "100us",
        "1µs",
        "1mo",
        "1 day",
        "daily",
        "P1D",
        "inf",
        "nan",
    ],
)
def test_other_texts_are_refused_with_valid_examples(text):
    with pytest.raises(ValueError, match=re.escape(EXAMPLES)):
        parse(text)


def test_every_example_that_a_refusal_shows_is_valid():
    for example_text in EXAMPLES.replace(" (a month)", "").split(", "):
        assert parse(example_text).length >= SECOND


def test_case_matters_for_a_minute_and_a_month():
    assert parse("1m").length == MINUTE
    assert parse("1M").length == 30 * DAY


@pytest.mark.parametrize("text", ["1S", "1H", "1D", "1W", "1y", "1H30M"])
def test_no_unit_has_another_case(text):
    with pytest.raises(ValueError, match="must be a duration"):
        parse(text)


@pytest.mark.parametrize("text", ["٣d", "1٣d", "３０s", "१h", "²d", "1.٥d", "1ｄ", "1М"])
def test_digits_and_letters_outside_ascii_are_refused(text):
    with pytest.raises(ValueError, match="must be a duration"):
        parse(text)


@pytest.mark.parametrize("text", ["0s", "0d", "0Y", "0h0m0s", "0.999999s", "0.5s", "0.00001d", "0.0166m"])
def test_less_than_a_second_is_refused(text):
    with pytest.raises(ValueError, match="from 1s to 100Y"):
        parse(text)


@pytest.mark.parametrize("text", ["101Y", "100.0001Y", "36501d", "1217M", "876000h0.000001s", "9" * 38 + "Y"])
def test_more_than_a_hundred_years_is_refused(text):
    with pytest.raises(ValueError, match="from 1s to 100Y"):
        parse(text)


@pytest.mark.parametrize("text", ["1s", "1.0s", "0.0167m", "100Y", "36500d", "876000h", "1216M"])
def test_the_bounds_belong_to_the_range(text):
    assert SECOND <= parse(text).length <= 36_500 * DAY


@pytest.mark.parametrize("nines", ["0.99999999999999999999999999999999999s", "1.99999999999999999999999999999999999s"])
def test_no_number_of_nines_rounds_a_duration_up(nines):
    assert read_or_none(nines) is None or parse(nines).length == 2 * SECOND - 1


def test_an_over_long_text_is_refused_whatever_it_says():
    assert parse("1d".rjust(40, "0")).length == DAY
    for text in ("1d".rjust(41, "0"), "9" * 1_000_000 + "d", "1h" * 500_000):
        with pytest.raises(ValueError, match="must be a duration"):
            parse(text)


@given(st.integers(1, 100), st.sampled_from("dwMY"), st.sampled_from(["", ".0", ".000"]))
@often
def test_a_whole_number_of_days_weeks_months_or_years_can_be_aligned(multiple, unit, zeros):
    found = parse(f"{multiple}{zeros}{unit}")
    assert found.alignable
    assert (found.unit, found.multiple) == (unit, multiple)


@given(st.integers(1, 90), st.integers(1, 999), st.sampled_from("dwMY"))
@often
def test_a_broken_number_of_them_cannot(whole, thousandths, unit):
    found = parse(f"{whole}.{thousandths:03d}{unit}")
    assert not found.alignable
    assert (found.unit, found.multiple) == ("", 0)


@pytest.mark.parametrize("text", ["24h", "168h", "720h", "8760h", "86400s", "1440m", "23h59m60s"])
def test_hours_minutes_and_seconds_cannot_be_aligned_however_many(text):
    assert not parse(text).alignable
