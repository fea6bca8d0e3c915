"""Price overrides: prices that are stored in the database and used before the price list.

An override that uses the price of another model is an alias.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from governance.domain.names import spelled
from governance.domain.pricing import price_json
from governance.domain.pricing.price import Price
from governance.domain.pricing.schedule import CostSource, EffectivePrice, PriceEntry

ModelKey = tuple[str, str]
"""(provider, model), both in the canonical form in which names are compared. A missing provider is ''."""

PriceIdentity = tuple[str, str, int]
"""The provider and model in canonical form, and the time from which an override applies (microseconds)."""


class PriceOverride(NamedTuple):
    """A stored override. It contains a price (`rates`) or the model of an alias (`same_as_model`).

    `rates` is the price as JSON (`price_json`). It is '' for an alias. `match_*` are the provider and model in
    canonical form. `effective_from` is 0 if the override applies at any time.
    """

    id: str
    provider: str | None
    model: str
    same_as_provider: str | None
    same_as_model: str | None
    rates: str
    effective_from: int
    match_provider: str
    match_model: str
    created_at: int
    updated_at: int

    @property
    def name(self) -> str:
        """The name `provider/model`. A search for overrides looks for its text in this name."""
        return full_name(self.provider, self.model)

    @property
    def key(self) -> ModelKey:
        """The model to which the override applies."""
        return self.match_provider, self.match_model

    @property
    def identity(self) -> PriceIdentity:
        """The model, and the time from which the override applies. No two overrides have the same identity."""
        return self.match_provider, self.match_model, self.effective_from

    @property
    def target(self) -> ModelKey | None:
        """The (provider, model) whose price an alias uses. None if the override contains a price."""
        return spelled(self.same_as_model, self.same_as_provider) if self.same_as_model else None

    @property
    def price(self) -> Price:
        """The price of an override that is not an alias."""
        return price_json.read(self.rates)

    @property
    def same_as(self) -> str | None:
        """The name of the model whose price an alias uses."""
        return full_name(self.same_as_provider, self.same_as_model) if self.same_as_model else None


OverridesByModel = Mapping[ModelKey, Sequence[PriceOverride]]
ListedPrices = Callable[[str, str], Sequence[EffectivePrice]]
"""A function that returns the prices of (provider, model) in the price list.

The first price that applies at a given time is used. If the list does not contain the model, the result is empty.
"""

SELF = "Give same_as as another model: an alias cannot take its own price."
TWO_STEPS = "Give same_as as {}, which has a price: {} is an alias itself, and an alias leads to a price in one step."
IS_TARGET = "Give a price, or another model: {} is same_as {}, and an alias leads to a price in one step."


def full_name(provider: str | None, model: str) -> str:
    """Return `provider/model`. Return only the model if no provider is named."""
    return f"{provider}/{model}" if provider else model


def alias_fault(override: PriceOverride, others: Iterable[PriceOverride]) -> str | None:
    """Return an error message if an alias refers to itself or to another alias. Return None otherwise.

    An alias must refer to a model with a price. `others` contains all other overrides.
    """
    target = override.target
    if target == override.key:
        return SELF
    for other in others:
        if target is not None and other.key == target and other.target is not None:
            return TWO_STEPS.format(other.same_as, other.name)
        if target is not None and other.target == override.key:
            return IS_TARGET.format(other.name, override.name)
    return None


def prices_of(key: ModelKey, overrides: OverridesByModel, listed: ListedPrices) -> tuple[EffectivePrice, ...]:
    """Return the prices of a model. The first price that applies at a given time is used.

    First come the overrides that name the model's provider, then the overrides that name no provider. In both groups,
    the latest start comes first. Last come the prices of the price list.
    """
    return (*_overridden(key, overrides, listed), *listed(*key))


def _overridden(key: ModelKey, overrides: OverridesByModel, listed: ListedPrices) -> Iterator[EffectivePrice]:
    for each in _stored(key, overrides):
        entry = PriceEntry(CostSource.OVERRIDE, each.provider, each.model, each.id, each.same_as)
        if each.target is None:
            yield EffectivePrice(entry, each.price, each.effective_from)
            continue
        for other in _stored(each.target, overrides):
            if other.target is None:
                yield EffectivePrice(entry, other.price, max(each.effective_from, other.effective_from))
        for found in listed(*each.target):
            yield found.under(entry._replace(source=CostSource.LIST), each.effective_from)


def _stored(key: ModelKey, overrides: OverridesByModel) -> Iterator[PriceOverride]:
    """Yield the overrides of a model: first those that name its provider, then those that name no provider."""
    provider, model = key
    yield from overrides.get(key, ())
    if provider:
        yield from overrides.get(("", model), ())


def by_model(overrides: Iterable[PriceOverride]) -> dict[ModelKey, Sequence[PriceOverride]]:
    """Return the overrides of each model. The override that starts to apply latest comes first."""
    found: defaultdict[ModelKey, list[PriceOverride]] = defaultdict(list)
    for each in sorted(overrides, key=lambda each: (-each.effective_from, each.id)):
        found[each.key].append(each)
    return dict(found)
