"""The installed list of genai-prices: equal to the package's own results, and no rate of 0."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from genai_prices import Usage
from genai_prices.data import providers

from governance.domain.pricing.price import MAX_RATE
from governance.domain.pricing.tokens import TokenCounts
from governance.domain.times import from_datetime
from governance.services.pricing import genai_prices_list as prices

CALL = TokenCounts(11_000, cached_input=10_000, output=500)
LARGE = TokenCounts(1_100_000, cached_input=1_000_000, output=50_000)
INSTANTS = [
    datetime(2025, 1, 1, 2, tzinfo=UTC),
    datetime(2026, 11, 26, 0, 30, tzinfo=UTC),
    datetime(2026, 11, 26, 8, tzinfo=UTC),
    datetime(2026, 11, 26, 16, 30, tzinfo=UTC),
    datetime(2027, 6, 1, 12, tzinfo=UTC),
]
MODELS = [(provider, model) for provider in providers for model in provider.models]
MOST_DECIMALS = 18
"""The most decimals of a rate. With more decimals, a product could need more than 40 digits."""
BESIDES = {
    "web_searches_kcount",
    "storage_searches_kcount",
    "output_reasoning_mtok",
    "output_citation_mtok",
    "cache_audio_read_mtok",
    "cache_image_read_mtok",
}
"""Rates that a call of plain and cached tokens does not use."""


def at(listed, moment):
    now = from_datetime(moment)
    return next(each for each in listed.prices if each.holds(now))


def test_the_list_has_hundreds_of_models_and_each_is_read():
    found, total = prices.page(None, "", 0, 10_000)
    assert len(MODELS) == len(found) == total
    assert total > 2_000


@pytest.mark.parametrize("moment", INSTANTS)
def test_no_model_is_free(moment):
    unknown = 0
    for provider, model in MODELS:
        for call in (CALL, LARGE, TokenCounts(1), TokenCounts(0, output=1)):
            cost = at(prices.listed(provider, model), moment).price.cost(call)
            assert cost is None or cost > 0, (provider.id, model.id, call)
            unknown += cost is None
    assert unknown > 200  # models that the package prices at 0 dollars, or without an input or an output rate


@pytest.mark.parametrize("moment", INSTANTS)
@pytest.mark.parametrize("call", [CALL, LARGE, TokenCounts(1_000, output=1)])
def test_a_cost_is_what_the_package_computes(moment, call):
    usage = Usage(input_tokens=call.input, cache_read_tokens=call.cached_input, output_tokens=call.output)
    compared = 0
    for provider, model in MODELS:
        listed = prices.listed(provider, model)
        cost = at(listed, moment).price.cost(call)
        if cost is None or not set(listed.not_priced) <= BESIDES:
            continue
        theirs = model.calc_price(usage, provider, genai_request_timestamp=moment).total_price
        assert cost == ceil(Fraction(theirs) * 10**9), (provider.id, model.id)
        compared += 1
    assert compared > 2_000


def test_every_rate_is_exact_in_the_arithmetic_of_a_cost():
    for provider, model in MODELS:
        for each in prices.listed(provider, model).prices:
            tiers = [tier.rates for tier in each.price.tiers]
            for rate in (*each.price.rates, each.price.request, *(rate for rates in tiers for rate in rates)):
                assert rate is None or (0 < rate <= MAX_RATE and rate == round(rate, MOST_DECIMALS))


@pytest.mark.parametrize(
    ("provider", "model", "entry"),
    [
        ("openai", "gpt-4o", ("openai", "gpt-4o")),
        ("", "gpt-4o", ("openai", "gpt-4o")),
        ("openai", "gpt-4o-2024-08-06", ("openai", "gpt-4o")),
        ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", ("aws", None)),
        ("vertex", "claude-opus-4-1", ("google", None)),
        ("azure", "gpt-4o", ("azure", None)),
        ("openrouter", "openai/gpt-4o", ("openrouter", "openai/gpt-4o")),
        ("litellm", "openai/gpt-4o", ("openai", "gpt-4o")),
        ("litellm", "gpt-4o", ("openai", "gpt-4o")),
        ("@cf", "meta/llama-3.1-8b-instruct", ("cloudflare", None)),
    ],
)
def test_a_model_is_found_as_gateways_name_it(provider, model, entry):
    found = prices.find(provider, model)
    assert found is not None
    assert found.provider == entry[0]
    assert entry[1] in (None, found.model)


@pytest.mark.parametrize(("provider", "model"), [("vllm", "gpt-4o"), ("", "nobody-knows-it"), ("openai", "llama-9")])
def test_a_model_that_is_not_in_the_list_is_not_found(provider, model):
    assert prices.find(provider, model) is None


def test_a_price_by_the_time_of_day_changes_within_the_day():
    (provider,) = (each for each in providers if each.id == "deepseek")
    (model,) = (each for each in provider.models if each.id == "deepseek-chat")
    listed = prices.listed(provider, model)
    day, night = (at(listed, datetime(2026, 11, 26, hour, tzinfo=UTC)).price for hour in (12, 20))
    assert day.rates.input == Decimal("0.27")
    assert night.rates.input < day.rates.input


def test_dates_ascend_and_the_newest_is_not_of_the_future():
    assert list(prices.dates()) == sorted(set(prices.dates()))


def test_a_page_has_the_models_of_a_provider_in_order():
    found, total = prices.page("openai", "gpt-4o", 0, 5)
    names = [each.model for each in found]
    assert names == sorted(names)
    assert all(each.provider == "openai" and "gpt-4o" in each.model for each in found)
    rest, again = prices.page("openai", "gpt-4o", 5, 100)
    assert (len(found) + len(rest), again) == (total, total)
