"""Writes prices as JSON: overrides (prices that users set), entries of the built-in list, and the prices of calls.

A rate is a price in dollars per million tokens of one kind.
"""

from typing import Any

import orjson

from governance.domain.pricing.listed import EPOCH, ListedModel, ListInfo
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.pricing.price import Price, Rates
from governance.domain.pricing.price_json import number
from governance.domain.pricing.schedule import ALWAYS, CostSource, EffectivePrice
from governance.domain.times import DAY, rfc3339


def override(stored: PriceOverride) -> dict[str, Any]:
    """Return an override as JSON. Rates that it does not have are left out."""
    alias = stored.same_as_model and {"provider": stored.same_as_provider, "model": stored.same_as_model}
    return {
        "id": stored.id,
        "source": CostSource.OVERRIDE,
        "provider": stored.provider,
        "model": stored.model,
        "same_as": alias or None,
        **({} if alias else rates(stored.price)),
        "effective_from": _instant(stored.effective_from),
        "not_priced": [],
        "created_at": rfc3339(stored.created_at),
        "updated_at": rfc3339(stored.updated_at),
    }


def listed(entry: ListedModel, now: int) -> dict[str, Any]:
    """Return an entry of the list as JSON, with the price that applies now."""
    found = entry.at(now)
    return {
        "id": None,
        "source": CostSource.LIST,
        "provider": entry.provider,
        "model": entry.model,
        "same_as": None,
        **rates(found.price),
        "effective_from": _instant(found.begins),
        "not_priced": list(entry.not_priced),
        "created_at": None,
        "updated_at": None,
    }


def used(found: EffectivePrice | None) -> orjson.Fragment | None:
    """Return the price of a call as JSON. A reservation stores the same JSON."""
    return None if found is None else orjson.Fragment(found.text)


def rates(price: Price) -> dict[str, Any]:
    """Return the rates of a price as exact JSON numbers."""
    request = {} if price.request is None else {"request": _number(price.request)}
    tiers = [{"above": tier.above, **_kinds(tier.rates)} for tier in price.tiers]
    return {**_kinds(price.rates), **request, **({"tiers": tiers} if tiers else {})}


def list_info(info: ListInfo, now: int) -> dict[str, Any]:
    """Return the list's status, version and age.

    The age is the number of days since the newest price in the list began to apply.
    """
    begun = info.newest(now)
    return {
        "status": info.status,
        "version": info.version,
        "newest_price": None if begun is None else begun.isoformat(),
        "age_days": None if begun is None else max(0, now // DAY - (begun - EPOCH).days),
    }


def _kinds(rates: Rates) -> dict[str, orjson.Fragment]:
    return {kind: _number(rate) for kind, rate in rates._asdict().items() if rate is not None}


def _number(value: Any) -> orjson.Fragment:
    return orjson.Fragment(number(value))


def _instant(begins: int) -> str | None:
    return None if begins == ALWAYS else rfc3339(begins)
