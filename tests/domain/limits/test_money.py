"""Money: dollars in JSON, whole nano-dollars in the service, and no loss between them."""

import json
import re
import time
from decimal import Context, Decimal, Inexact, localcontext
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.domain.limits.money import MAX_COST, MAX_LIMIT, NANOS, dollars, nanos

PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]{0,8}[1-9])?")

amounts = st.one_of(st.integers(0, MAX_LIMIT), st.integers(0, 10**12), st.integers(0, 10**9).map(lambda n: n * NANOS))
costs = st.decimals(0, 10**6, allow_nan=False, allow_infinity=False)
often = settings(deadline=None, max_examples=200)


@given(amounts)
@example(0)
@example(1)
@example(MAX_LIMIT - 1)
@example(MAX_LIMIT)
@often
def test_what_is_shown_is_read_back_exactly(amount):
    assert nanos(Decimal(dollars(amount)), MAX_LIMIT) == (amount, True)


@given(amounts)
@often
def test_an_amount_is_shown_at_its_exact_value(amount):
    assert Fraction(dollars(amount)) == Fraction(amount, NANOS)


@given(st.integers(-(10**30), 10**30))
@often
def test_an_amount_is_shown_as_a_plain_json_number_without_an_exponent_or_idle_zeros(amount):
    assert PLAIN.fullmatch(dollars(amount))
    assert json.loads(dollars(amount), parse_float=Fraction, parse_int=Fraction) * NANOS == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (150_000, "0.00015"),
        (50 * NANOS, "50"),
        (100 * NANOS, "100"),
        (NANOS * 21 // 2, "10.5"),
        (-NANOS // 4, "-0.25"),
        (MAX_LIMIT, "1000000000"),
        (MAX_LIMIT - 1, "999999999.999999999"),
    ],
)
def test_amounts_look_as_people_write_them(amount, text):
    assert dollars(amount) == text


@given(costs)
@example(Decimal("0.0000000001"))
@example(Decimal("0.0000000010"))
@example(Decimal("999999.9999999999"))
@often
def test_a_cost_is_rounded_up_to_the_nano_dollar_and_says_whether_it_was(cost):
    exact = Fraction(cost) * NANOS
    assert nanos(cost, MAX_COST) == (ceil(exact), exact.denominator == 1)


@given(st.integers(0, 10**9))
@often
def test_whole_dollars_may_come_as_an_integer(amount):
    assert nanos(amount, MAX_LIMIT) == (amount * NANOS, True)


@given(st.text("0123456789", min_size=10, max_size=60))
@often
def test_any_number_of_decimals_is_taken_into_account(digits):
    found, exact = nanos(Decimal(f"0.{digits}"), MAX_COST)
    assert found == int(digits[:9]) + (int(digits[9:]) > 0)
    assert exact == (int(digits[9:]) == 0)


@pytest.mark.parametrize("most", [MAX_LIMIT, MAX_COST])
def test_the_bounds_belong_to_the_range(most):
    assert nanos(0, most) == (0, True)
    assert nanos(Decimal("-0.0"), most) == (0, True)
    assert nanos(most // NANOS, most) == (most, True)


@pytest.mark.parametrize("most", [MAX_LIMIT, MAX_COST])
@pytest.mark.parametrize("beyond", ["1e-9", "1e-30", "1", "1e900000", "Infinity"])
def test_more_than_the_most_is_refused(most, beyond):
    with localcontext(prec=60), pytest.raises(ValueError, match=r".*"):
        nanos(most // NANOS + Decimal(beyond), most)


@pytest.mark.parametrize("amount", [-1, Decimal(-1), Decimal("-1e-9"), Decimal("-1e-900000"), Decimal("-Infinity")])
def test_less_than_nothing_is_refused(amount):
    with pytest.raises(ValueError, match=r".*"):
        nanos(amount, MAX_LIMIT)


@pytest.mark.parametrize("text", ["1e900000", "1e999999999999999999", "-1e900000"])
def test_a_number_with_a_huge_exponent_is_refused_before_it_costs_anything(text):
    began = time.process_time()
    with pytest.raises(ValueError, match=r".*"):
        nanos(Decimal(text), MAX_LIMIT)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("text", ["1e-900000", "1e-999999999999999999", "0." + "0" * 100_000 + "1"])
def test_a_tiny_cost_is_one_nano_dollar_at_once(text):
    began = time.process_time()
    assert nanos(Decimal(text), MAX_COST) == (1, False)
    assert time.process_time() - began < 0.1


def test_the_answer_does_not_depend_on_the_decimal_context_of_the_caller():
    with localcontext(Context(prec=3, traps=[Inexact])):
        assert nanos(Decimal("123456.7890123456"), MAX_COST) == (123_456_789_012_346, False)
