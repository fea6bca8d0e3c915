"""A price override as read from a request body or a config file, before it is checked and stored.

A price override is a stored price of a model, which is used before the price list. An override that uses the price of
another model is an alias.
"""

from collections.abc import Iterable
from typing import NamedTuple

from governance.domain.errors import Fault
from governance.domain.names import spelled
from governance.domain.pricing import price_json
from governance.domain.pricing.overrides import PriceIdentity, PriceOverride
from governance.domain.pricing.price import Price
from governance.domain.pricing.schedule import ALWAYS

BOTH = "Give same_as or a price, not both: an alias takes the price of another model."
NO_INPUT = "Give input: dollars per million input tokens, 0 if they are free; or same_as."

TWO_TIERS = "Give each tier another above."


class SameAs(NamedTuple):
    """The model whose price an alias uses."""

    model: str
    provider: str | None = None


class PriceDraft(NamedTuple):
    """An override that has no id yet. It contains a price, or `same_as` if it is an alias."""

    model: str
    provider: str | None = None
    same_as: SameAs | None = None
    price: Price = Price()
    effective_from: int = ALWAYS

    @property
    def identity(self) -> PriceIdentity:
        """The model, and the time from which the override applies. No two overrides have the same identity."""
        return (*spelled(self.model, self.provider), self.effective_from)


def faults(draft: PriceDraft) -> Iterable[Fault]:
    """Yield the faults of an override that involve more than one field."""
    if draft.same_as is not None and draft.price != Price():
        yield Fault("same_as", BOTH)
    elif draft.same_as is None and draft.price.rates.input is None:
        yield Fault("input", NO_INPUT)
    tiers = [tier.above for tier in draft.price.tiers]
    if len(set(tiers)) < len(tiers):
        yield Fault("tiers", TWO_TIERS)


def override(draft: PriceDraft, override_id: str, created_at: int, updated_at: int) -> PriceOverride:
    """Build the stored form of an override."""
    match_provider, match_model, _ = draft.identity
    alias = draft.same_as
    return PriceOverride(
        id=override_id,
        provider=draft.provider,
        model=draft.model,
        same_as_provider=alias and alias.provider,
        same_as_model=alias and alias.model,
        rates="" if alias else price_json.text(draft.price),
        effective_from=draft.effective_from,
        match_provider=match_provider,
        match_model=match_model,
        created_at=created_at,
        updated_at=updated_at,
    )


def draft_of(stored: PriceOverride) -> PriceDraft:
    """Convert a stored override to a draft."""
    alias = SameAs(stored.same_as_model, stored.same_as_provider) if stored.same_as_model else None
    price = Price() if alias else stored.price
    return PriceDraft(stored.model, stored.provider, alias, price, stored.effective_from)
