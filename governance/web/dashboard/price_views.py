"""Converts prices to the form in which the dashboard shows them.

A price comes from the price list, which is part of a Python package, or from an override. An override is a stored price
that is used before the list.
"""

from decimal import Decimal
from typing import Any, NamedTuple

from governance.domain.pricing.listed import ListedModel
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.pricing.price import Price
from governance.domain.pricing.price_json import number
from governance.domain.pricing.schedule import ALWAYS
from governance.domain.times import rfc3339

SHOWN = ("input", "output", "cached_input")
"""The kinds of tokens whose prices have their own column in the table."""


class PriceView(NamedTuple):
    """A price in the form in which a page shows it.

    `id` is None for a price of the list. `rates` contains dollars per million tokens as text, for the kinds in `SHOWN`.
    `others` contains the other rates as text. `begins` is None if the price applies at any time.
    """

    id: str | None
    provider: str | None
    model: str
    same_as: str | None
    rates: list[str]
    others: list[str]
    begins: int | None


def override(stored: PriceOverride) -> PriceView:
    """Convert an override for a page of the dashboard."""
    rates, others = _rates(stored.price)
    return PriceView(
        stored.id, stored.provider, stored.model, stored.same_as, rates, others, _begins(stored.effective_from)
    )


def listed(entry: ListedModel, now: int) -> PriceView:
    """Convert a model of the price list for a page of the dashboard, with the price that applies now."""
    found = entry.at(now)
    rates, others = _rates(found.price)
    return PriceView(None, entry.provider, entry.model, None, rates, others, _begins(found.begins))


def editable(stored: PriceOverride) -> dict[str, Any]:
    """Return the stored values of an override as the body of an edit. The form is filled with this body."""
    begins = None if stored.effective_from == ALWAYS else rfc3339(stored.effective_from)
    found: dict[str, Any] = {"model": stored.model, "provider": stored.provider, "effective_from": begins}
    if stored.same_as is not None:
        return found | {"same_as": {"model": stored.same_as_model, "provider": stored.same_as_provider}}
    price = stored.price
    rates = price.rates._asdict() | {"request": price.request}
    tiers = [{"above": tier.above} | _given(tier.rates._asdict()) for tier in price.tiers]
    return found | _given(rates) | {"tiers": tiers}


def _given(rates: dict[str, Decimal | None]) -> dict[str, Decimal]:
    return {name: rate for name, rate in rates.items() if rate is not None}


def _rates(price: Price) -> tuple[list[str], list[str]]:
    """Return the rates that have a column, and the other rates with their names."""
    given = price.rates._asdict()
    columns = ["–" if given[kind] is None else _dollars(given[kind]) for kind in SHOWN]
    others = [
        f"{kind.replace('_', ' ')} {_dollars(rate)}"
        for kind, rate in given.items()
        if rate is not None and kind not in SHOWN
    ]
    others += [] if price.request is None else [f"call {_dollars(price.request)}"]
    return columns, others + [f"tier above {tier.above:,} tokens" for tier in price.tiers]


def _dollars(rate: Decimal) -> str:
    """Write dollars exactly, with at least two decimal places."""
    whole, _, fraction = number(rate).partition(".")
    return f"${whole}.{fraction.ljust(2, '0')}"


def _begins(instant: int) -> int | None:
    return None if instant == ALWAYS else instant
