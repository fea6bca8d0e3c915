"""Writes and reads a price as JSON with exact numbers. Responses show this text, and reservations store it."""

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from governance.domain.pricing.price import Price, Rates, Tier

PRICES_REMEMBERED = 4096


def number(value: Decimal) -> str:
    """Write a number as exact JSON, without an exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rates(given: Rates) -> str:
    """Write the rates as members of a JSON object, without the braces. A missing rate has no member."""
    return ",".join(f'"{kind}":{number(rate)}' for kind, rate in given._asdict().items() if rate is not None)


def members(price: Price) -> str:
    """Write a price as members of a JSON object, without the braces. A missing rate has no member."""
    request = "" if price.request is None else f'"request":{number(price.request)}'
    tiers = ",".join(map(_tier, price.tiers))
    parts = (rates(price.rates), request, f'"tiers":[{tiers}]' if tiers else "")
    return ",".join(part for part in parts if part)


def _tier(tier: Tier) -> str:
    members = (f'"above":{tier.above}', rates(tier.rates))
    return f"{{{','.join(member for member in members if member)}}}"


def text(price: Price) -> str:
    """Write a price as a JSON object."""
    return f"{{{members(price)}}}"


@lru_cache(maxsize=PRICES_REMEMBERED)
def read(stored: str) -> Price:
    """Read a price from JSON that `text` or `EffectivePrice.text` wrote. All other members are ignored."""
    return of(json.loads(stored, parse_float=Decimal))


@lru_cache(maxsize=PRICES_REMEMBERED)
def source(stored: str) -> str:
    """Return where a price comes from. `stored` is the price as a reservation stores it, as JSON."""
    return str(json.loads(stored)["source"])


def of(data: Mapping[str, Any]) -> Price:
    """Build the price from a JSON object whose numbers are int or Decimal."""
    tiers = (Tier(tier["above"], _read_rates(tier)) for tier in data.get("tiers") or ())
    return Price(_read_rates(data), _decimal(data.get("request")), tuple(tiers))


def _read_rates(data: Mapping[str, Any]) -> Rates:
    return Rates(**{kind: _decimal(data.get(kind)) for kind in Rates._fields})


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)
