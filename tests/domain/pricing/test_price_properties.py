"""The cost of a call, compared with the same sum of fractions."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.domain.pricing import price_json
from governance.domain.pricing.price import DECIMALS, MAX_RATE, Price, Rates, Tier
from governance.domain.pricing.tokens import TokenCounts

NANOS = 10**9
WHOLES = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_1h": "input",
    "input_audio": "input",
    "output_audio": "output",
}
decimals = st.builds(
    lambda whole, places: Decimal(whole).scaleb(-places), st.integers(0, MAX_RATE), st.integers(0, DECIMALS)
)
maybe = st.none() | decimals
partial_rates = st.builds(Rates, *[maybe] * len(Rates._fields))
tiers = st.dictionaries(st.integers(0, 10**6), partial_rates, max_size=3).map(
    lambda found: tuple(Tier(above, found[above]) for above in sorted(found))
)
whole_rates = st.builds(Rates, decimals, decimals, maybe, maybe, maybe, maybe, maybe)
prices = st.builds(Price, whole_rates, maybe, tiers)
counts = st.integers(0, 10**6) | st.integers(0, 10**11)


@st.composite
def calls(draw):
    """Return token counts whose parts do not exceed their wholes."""
    cached, written, written_1h, audio, plain, output_audio, output = (draw(counts) for _ in range(7))
    whole = cached + written + written_1h + audio + plain
    return TokenCounts(whole, cached, written, written_1h, audio, output + output_audio, output_audio)


def rate(price, kind, input_tokens):
    """Return the rate of a kind by the contract, in the highest tier reached.

    It is the rate of the kind itself, or else the rate of the input or output.
    """
    reached = [tier.rates for tier in price.tiers if input_tokens > tier.above]
    for name in [kind, WHOLES.get(kind, kind)]:
        for rates in [*reached[-1:], price.rates]:
            if getattr(rates, name) is not None:
                return Fraction(getattr(rates, name))
    raise AssertionError(kind)


def oracle(price, call, requests):
    """Return the cost in nano-dollars, with one rounding at the end."""
    total = Fraction(price.request or 0) * requests * 10**6
    rest = {"input": call.input, "output": call.output}
    for kind, whole in WHOLES.items():
        count = getattr(call, kind)
        total += count * rate(price, kind, call.input)
        rest[whole] -= count
    total += sum(count * rate(price, whole, call.input) for whole, count in rest.items())
    return ceil(total / 10**6 * NANOS)


@given(prices, calls(), st.integers(0, 10**6))
@settings(deadline=None, max_examples=500)
def test_a_cost_is_the_exact_sum_rounded_up_once(price, call, requests):
    assert price.cost(call, requests) == oracle(price, call, requests)


@given(prices, calls())
@settings(deadline=None)
def test_without_an_input_rate_the_cost_is_unknown(price, call):
    lacking = price._replace(rates=price.rates._replace(input=None), tiers=())
    assert lacking.cost(call) is None


@given(prices, calls())
@settings(deadline=None)
def test_without_an_output_rate_only_input_has_a_cost(price, call):
    lacking = price._replace(rates=price.rates._replace(output=None, output_audio=None), tiers=())
    assert (lacking.cost(call) is None) == (call.output > 0)
    silent = call._replace(output=0, output_audio=0)
    assert lacking.cost(silent) == price._replace(tiers=()).cost(silent)


@given(prices)
@example(Price(Rates(Decimal(1)), tiers=(Tier(5, Rates()),)))
@settings(deadline=None)
def test_a_price_is_the_same_after_its_json(price):
    assert price_json.read(price_json.text(price)) == price


def test_a_tier_applies_to_all_tokens_of_the_call():
    price = Price(Rates(Decimal(1), Decimal(4)), tiers=(Tier(200_000, Rates(Decimal(2), Decimal(6))),))
    assert price.cost(TokenCounts(200_000, output=1_000)) == 204_000_000
    assert price.cost(TokenCounts(200_001, output=1_000)) == 406_002_000


def test_a_kind_without_a_rate_in_a_tier_keeps_its_own():
    price = Price(Rates(Decimal(2), Decimal(1), Decimal("0.5")), tiers=(Tier(10, Rates(input=Decimal(4))),))
    assert price.cost(TokenCounts(1_000_000, cached_input=500_000)) == 2_250_000_000


def test_the_smallest_part_of_a_nano_dollar_counts_whole():
    assert Price(Rates(Decimal("0.000000000001"))).cost(TokenCounts(1)) == 1
    assert Price(Rates(Decimal(0), Decimal(0))).cost(TokenCounts(10**12)) == 0


def test_a_price_for_each_call_is_added_to_that_of_its_tokens():
    price = Price(Rates(Decimal(1), Decimal(1)), request=Decimal("0.005"))
    assert price.cost(TokenCounts()) == 5_000_000
    assert price.cost(TokenCounts(1_000, output=500)) == 6_500_000
    assert price.cost(TokenCounts(1_000, output=500), requests=3) == 16_500_000
