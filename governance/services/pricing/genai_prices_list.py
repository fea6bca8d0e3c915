"""Converts the prices of the package genai-prices to the types of this project.

Nothing is downloaded, because the package contains the prices. The import of the package takes 0.2 s and 31 MiB. So
`PriceList` imports this module, and with it the package, in a separate thread.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache

import genai_prices
from genai_prices.data import providers
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from governance.domain.names import fold
from governance.domain.pricing.listed import ListedModel
from governance.domain.pricing.overrides import full_name
from governance.domain.pricing.price import Price, Rates, Tier
from governance.domain.pricing.schedule import ALWAYS, CostSource, EffectivePrice, PriceEntry
from governance.domain.times import SECOND, from_datetime

VERSION = genai_prices.__version__
MODELS_REMEMBERED = 4096
PROXY = "litellm"
"""A provider that forwards calls to other providers. Its models are named `provider/model`."""
KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "output_audio": "output_audio_mtok",
}
"""The field of the package that contains the rate (the price of a million tokens) of each kind of token."""
PER_THOUSAND_CALLS = "requests_kcount"
PRICED = frozenset({*KEYS.values(), PER_THOUSAND_CALLS})

__all__ = ("VERSION", "dates", "find", "page")


@lru_cache(maxsize=MODELS_REMEMBERED)
def find(provider: str, model: str) -> ListedModel | None:
    """Return the entry of a model, or None if the list does not contain the model.

    Both names are in canonical form. If `provider` is empty, the entry is found by the model's name.
    """
    found = _match(provider, model)
    return None if found is None else listed(*found)


def page(provider: str | None, search: str, begin: int, most: int) -> tuple[list[ListedModel], int]:
    """Return up to `most` entries, starting at index `begin`, sorted by provider and model.

    Also return the number of all entries that match. `search` is a case-folded part of `provider/model`. `provider` is
    a canonical name, or None for all providers.
    """
    found = [
        entry
        for entry in _ordered()
        if provider in (None, entry[0].id) and search in fold(full_name(entry[0].id, entry[1].id))
    ]
    return [listed(*entry) for entry in found[begin : begin + most]], len(found)


@cache
def _ordered() -> list[tuple[Provider, ModelInfo]]:
    entries = [(provider, model) for provider in providers for model in provider.models]
    return sorted(entries, key=lambda entry: (entry[0].id, entry[1].id))


def dates() -> tuple[date, ...]:
    """Return the dates on which prices of the list begin to apply, in ascending order."""
    conditions = (each.constraint for provider in providers for model in provider.models for each in _prices(model))
    return tuple(sorted({each.start_date for each in conditions if isinstance(each, StartDateConstraint)}))


def _match(provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
    if provider == PROXY:
        head, slash, rest = model.partition("/")
        provider, model = (head, rest) if slash else ("", model)
    owner = _provider(provider) if provider else _provider_of(model)
    if owner is None and provider:
        model = f"{provider}/{model}"  # `provider` may be the first part of a model name that contains a slash
        owner = _provider_of(model)
    found = owner and owner.find_model(model, all_providers=providers)
    return (owner, found) if owner and found else None


def _provider(name: str) -> Provider | None:
    same = (each for each in providers if each.id == name)
    alike = (each for each in providers if each.provider_match is not None and each.provider_match.is_match(name))
    return next(same, None) or next(alike, None)


def _provider_of(model: str) -> Provider | None:
    known = (each for each in providers if each.model_match is not None and each.model_match.is_match(model))
    return next(known, None)


def listed(provider: Provider, model: ModelInfo) -> ListedModel:
    """Build the entry of a model. Its prices are in the order of preference.

    The package has the reverse order: it uses the last of the prices that apply now. The first price of the package
    applies at any time.
    """
    entry = PriceEntry(CostSource.LIST, provider.id, model.id)
    first, *rest = _prices(model)
    prices = (*(_effective(entry, each) for each in reversed(rest)), EffectivePrice(entry, _price(first.prices)))
    return ListedModel(provider.id, model.id, prices, _not_priced([first, *rest]))


def _prices(model: ModelInfo) -> Sequence[ConditionalPrice]:
    if isinstance(model.prices, ModelPrice):
        return [ConditionalPrice(prices=model.prices)]
    return model.prices


def _effective(entry: PriceEntry, conditional: ConditionalPrice) -> EffectivePrice:
    price, constraint = _price(conditional.prices), conditional.constraint
    if isinstance(constraint, StartDateConstraint):
        midnight = datetime.combine(constraint.start_date, time(), UTC)
        return EffectivePrice(entry, price, from_datetime(midnight))
    if isinstance(constraint, TimeOfDateConstraint):
        return EffectivePrice(entry, price, daily=(_of_day(constraint.start_time), _of_day(constraint.end_time)))
    return EffectivePrice(entry, price, ALWAYS)


def _of_day(moment: time) -> int:
    """Convert a time of day to microseconds since midnight in UTC. A time without a zone is in UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    there = datetime.combine(date(1970, 1, 2), aware).astimezone(UTC).time()
    return (there.hour * 3600 + there.minute * 60 + there.second) * SECOND + there.microsecond


def _price(prices: ModelPrice) -> Price:
    given = {kind: getattr(prices, key) for kind, key in KEYS.items()}
    calls = _base(getattr(prices, PER_THOUSAND_CALLS))
    return Price(
        rates=Rates(**{kind: _base(value) for kind, value in given.items()}),
        request=calls and calls / 1000,
        tiers=tuple(_tiers(given)),
    )


def _base(value: Decimal | TieredPrices | None) -> Decimal | None:
    """Return a rate of the list, or None if it is unknown.

    A rate of 0 counts as unknown, because only the operator can say, with an override, that a model is free.
    """
    return (value.base if isinstance(value, TieredPrices) else value) or None


def _tiers(given: dict[str, Decimal | TieredPrices | None]) -> Iterator[Tier]:
    tiered = {kind: value for kind, value in given.items() if isinstance(value, TieredPrices)}
    for start in sorted({tier.start for value in tiered.values() for tier in value.tiers}):
        reached = {kind: [tier.price for tier in value.tiers if tier.start <= start] for kind, value in tiered.items()}
        yield Tier(start, Rates(**{kind: prices[-1] or None for kind, prices in reached.items() if prices}))


def _not_priced(prices: Iterable[ConditionalPrice]) -> tuple[str, ...]:
    """Return the names of the rates that this service does not use, such as the rates of images, searches and pages."""
    named = {key for each in prices for key, value in vars(each.prices).items() if value is not None}
    return tuple(sorted(named - PRICED))
