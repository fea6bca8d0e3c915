"""The price of a model that holds at an instant: overrides by date, aliases in one step, then the list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.pricing import drafts
from governance.domain.pricing.drafts import PriceDraft, SameAs
from governance.domain.pricing.overrides import alias_fault, by_model, prices_of
from governance.domain.pricing.price import Price, Rates
from governance.domain.pricing.schedule import EffectivePrice, PriceEntry, Schedule
from governance.domain.times import DAY, HOUR

LISTED = {("openai", "gpt-4o"): 7, ("", "own"): 8}


def listed(provider, model):
    rate = LISTED.get((provider, model))
    entry = PriceEntry("list", provider, model)
    return () if rate is None else (EffectivePrice(entry, Price(Rates(input=rate))),)


def stored(name, rate=None, *, same_as=None, begins=0):
    provider, _, model = name.rpartition("/")
    alias = same_as and SameAs(same_as.rpartition("/")[2], same_as.rpartition("/")[0] or None)
    price = Price() if alias else Price(Rates(input=rate))
    draft = PriceDraft(model, provider or None, alias, price, begins)
    return drafts.override(draft, f"{name}@{begins}", 0, 0)


def found(name, overrides, now=DAY):
    provider, _, model = name.rpartition("/")
    price = Schedule(prices_of((provider, model), by_model(overrides), listed)).at(now)
    return price and (price.entry.source, price.price.rates.input)


def test_an_override_comes_before_the_list():
    assert found("openai/gpt-4o", []) == ("list", 7)
    assert found("openai/gpt-4o", [stored("openai/gpt-4o", 1)]) == ("override", 1)
    assert found("openai/o3", []) is None


def test_an_override_without_a_provider_is_for_all_after_those_of_the_provider():
    any_provider = stored("gpt-4o", 2)
    assert found("azure/gpt-4o", [any_provider]) == ("override", 2)
    assert found("gpt-4o", [any_provider]) == ("override", 2)
    assert found("openai/gpt-4o", [any_provider, stored("openai/gpt-4o", 1)]) == ("override", 1)
    assert found("openai/gpt-4o", [any_provider, stored("openai/gpt-4o", 1, begins=2 * DAY)]) == ("override", 2)


def test_the_override_that_began_last_holds_and_until_one_begins_the_list_does():
    overrides = [stored("openai/gpt-4o", 1, begins=10), stored("openai/gpt-4o", 2, begins=20)]
    assert [found("openai/gpt-4o", overrides, now)[1] for now in (9, 10, 19, 20, 21)] == [7, 1, 1, 2, 2]


def test_an_alias_has_the_price_of_its_target_wherever_that_comes_from():
    alias = stored("azure/prod", same_as="openai/gpt-4o", begins=5)
    assert found("azure/prod", [alias], 4) is None
    assert found("azure/prod", [alias], 5) == ("list", 7)
    own = stored("openai/gpt-4o", 3, begins=50)
    assert [found("azure/prod", [alias, own], now) for now in (49, 50)] == [("list", 7), ("override", 3)]
    assert found("azure/prod", [stored("azure/prod", same_as="own")]) == ("list", 8)


def test_an_alias_without_a_price_leads_to_the_earlier_override():
    overrides = [stored("a/b", 1), stored("a/b", same_as="x/y", begins=5)]
    assert found("a/b", overrides, 9) == ("override", 1)


@pytest.mark.parametrize(
    ("new", "others", "told"),
    [
        (stored("a/b", same_as="a/b"), [], "another model"),
        (stored("a/b", same_as="A/B"), [], "another model"),
        (stored("a/b", same_as="c/d"), [stored("c/d", same_as="e/f")], "same_as as e/f"),
        (stored("c/d", same_as="e/f"), [stored("a/b", same_as="c/d")], "a/b is same_as c/d"),
        (stored("a/b", same_as="c/d"), [stored("c/d", 1)], None),
        (stored("a/b", same_as="c/d"), [stored("e/f", same_as="c/d")], None),
    ],
)
def test_an_alias_leads_to_a_price_in_one_step(new, others, told):
    fault = alias_fault(new, others)
    assert (fault is None) if told is None else (told in fault)


models = st.sampled_from(["a/b", "c/d", "b", "e/f"])
overrides = st.lists(
    st.builds(
        lambda name, rate, target, begins: stored(name, rate, same_as=target, begins=begins),
        models,
        st.integers(1, 9),
        st.none() | models,
        st.integers(0, 30),
    ),
    max_size=6,
    unique_by=lambda each: (each.key, each.effective_from),
)


@given(overrides, models, st.integers(0, 40))
def test_a_price_is_one_that_is_stored_or_listed_and_has_begun(given_overrides, name, now):
    provider, _, model = name.rpartition("/")
    price = Schedule(prices_of((provider, model), by_model(given_overrides), listed)).at(now)
    if price is not None:
        assert price.begins <= now
        rates = {each.price.rates.input for each in given_overrides if each.target is None} | set(LISTED.values())
        assert price.price.rates.input in rates


def test_a_daily_price_may_pass_midnight():
    night = EffectivePrice(PriceEntry("list", "a", "b"), Price(), daily=(16 * HOUR, HOUR))
    assert [night.holds(DAY * 400 + hour * HOUR) for hour in (0, 1, 15, 16, 23)] == [True, False, False, True, True]
    day = EffectivePrice(PriceEntry("list", "a", "b"), Price(), daily=(HOUR, 16 * HOUR))
    assert [day.holds(DAY * 400 + hour * HOUR) for hour in (0, 1, 15, 16, 23)] == [False, True, True, False, False]
