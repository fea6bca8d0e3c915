"""What a call costs, beside the same sum of fractions."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.pricing.price import Price, Rate, Tier
from governance.domain.pricing.tokens import TokenCounts

NANOS = 10**9
decimals = st.builds(lambda whole, places: Decimal(whole).scaleb(-places), st.integers(0, 10**12), st.integers(0, 12))
tiers = st.dictionaries(st.integers(0, 10**6), decimals, max_size=3).map(
    lambda found: tuple(Tier(above, found[above]) for above in sorted(found))
)
rates = st.builds(Rate, decimals, tiers)
maybe = st.none() | rates
prices = st.builds(Price, rates, rates, maybe, maybe, maybe, maybe, maybe, st.none() | decimals)
counts = st.integers(0, 10**6) | st.integers(0, 10**11)


@st.composite
def calls(draw):
    """Token counts whose parts fit into their wholes."""
    cached, written, written_1h, audio, plain, output_audio, output = (draw(counts) for _ in range(7))
    whole = cached + written + written_1h + audio + plain
    return TokenCounts(whole, cached, written, written_1h, audio, output + output_audio, output_audio)


def rate(own, whole, input_tokens):
    """The rate of a kind by the sentences of the contract: its own or its whole's, in the highest tier reached."""
    used = whole if own is None else own
    found = used.base
    for above, dollars in used.tiers:
        if input_tokens > above:
            found = dollars
    return Fraction(found)


def oracle(price, call):
    """Nano-dollars, with one rounding at the end."""
    kinds = {
        "cached_input": price.input,
        "cache_write": price.input,
        "cache_write_1h": price.input,
        "input_audio": price.input,
        "output_audio": price.output,
    }
    total = Fraction(price.request or 0) * 10**6
    rest = {id(price.input): call.input, id(price.output): call.output}
    if price.input is price.output:
        rest = {id(price.input): call.input + call.output}
    for kind, whole in kinds.items():
        count = getattr(call, kind)
        total += count * rate(getattr(price, kind), whole, call.input)
        rest[id(whole)] -= count
    for whole in {id(each): each for each in (price.input, price.output)}.values():
        total += rest[id(whole)] * rate(None, whole, call.input)
    return ceil(total / 10**6 * NANOS)


@given(prices, calls())
@settings(deadline=None, max_examples=500)
def test_a_cost_is_the_exact_sum_rounded_up_once(price, call):
    assert price.cost(call) == oracle(price, call)


@given(prices, calls())
@settings(deadline=None)
def test_without_an_input_rate_the_cost_is_unknown(price, call):
    assert price._replace(input=None).cost(call) is None


@given(prices, calls())
@settings(deadline=None)
def test_without_an_output_rate_only_input_has_a_cost(price, call):
    lacking = price._replace(output=None, output_audio=None)
    assert (lacking.cost(call) is None) == (call.output > 0)
    silent = call._replace(output=0, output_audio=0)
    assert lacking.cost(silent) == price.cost(silent)


def test_a_tier_applies_to_all_tokens_of_the_call():
    price = Price(Rate(Decimal(1), (Tier(200_000, Decimal(2)),)), Rate(Decimal(4), (Tier(200_000, Decimal(6)),)))
    assert price.cost(TokenCounts(200_000, output=1_000)) == 204_000_000
    assert price.cost(TokenCounts(200_001, output=1_000)) == 406_002_000


def test_the_smallest_part_of_a_nano_dollar_counts_whole():
    assert Price(Rate(Decimal("0.000000000001")), Rate(Decimal(0))).cost(TokenCounts(1)) == 1
    assert Price(Rate(Decimal(0)), Rate(Decimal(0))).cost(TokenCounts(10**12)) == 0


def test_a_price_for_each_call_is_added_to_that_of_its_tokens():
    price = Price(Rate(Decimal(1)), Rate(Decimal(1)), request=Decimal("0.005"))
    assert price.cost(TokenCounts()) == 5_000_000
    assert price.cost(TokenCounts(1_000, output=500)) == 6_500_000
