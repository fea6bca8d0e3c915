"""Writes the result of a price look-up as JSON, with a sentence that says where the price comes from.

A price comes from an override (a price that users set for a model), or from the list of prices that comes with the
service.
"""

from typing import Any

from governance.domain.pricing.lookup import PriceLookup
from governance.domain.pricing.overrides import full_name
from governance.domain.pricing.schedule import ALWAYS, CostSource
from governance.domain.times import rfc3339
from schemas.pricing.command import command
from schemas.pricing.prices import list_info, used
from schemas.render import dollars

LIST = "the list (genai-prices {})"


def lookup(result: PriceLookup) -> dict[str, Any]:
    """Return the price, its source and the sentence as JSON.

    `cost` is null if no tokens were given, or if the cost cannot be computed from the price.
    """
    provider, model = result.model
    found = result.found
    return {
        "provider": provider or None,
        "model": model,
        "at": rfc3339(result.at),
        "source": CostSource.NONE if found is None else found.entry.source,
        "price": used(found),
        "cost": None if result.cost is None else dollars(result.cost),
        "reason": reason(result),
        "not_priced": list(result.not_priced),
        "price_list": list_info(result.info, result.at),
    }


def reason(result: PriceLookup) -> str:
    """Return a sentence that says where the price comes from. If there is no price, it says why, and what to do."""
    found, listed = result.found, LIST.format(result.info.version)
    provider, model = result.model
    name = full_name(provider or None, model)
    if found is None:
        what = f"{name} has no override, and no price of input tokens in {listed}"
        what = what if result.info.version else f"{name} has no override, and there is no list"
        return f"{what}. Set its price: {command(model, provider or None)}."
    entry = found.entry
    begins = "" if found.begins == ALWAYS else f", from {rfc3339(found.begins)} on"
    if entry.override_id is None:
        told = f"{name} is {full_name(entry.provider, entry.model)} in {listed}{begins}."
    elif entry.same_as is None:
        told = f"The override {entry.override_id} sets the price of {name}{begins}."
    else:
        where = listed if entry.source == CostSource.LIST else "the overrides"
        told = f"The override {entry.override_id} gives {name} the price of {entry.same_as}, from {where}{begins}."
    if result.is_asked and result.cost is None:
        told += f" It has no rate for these tokens. Set one: {command(model, provider or None)}."
    if result.not_priced:
        told += f" Not counted: {', '.join(result.not_priced)}."
    return told
