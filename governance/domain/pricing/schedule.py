"""The prices of one model over time, and the price that applies at a given time."""

import json
from enum import StrEnum
from typing import NamedTuple

from governance.domain.pricing import price_json
from governance.domain.pricing.price import Price
from governance.domain.times import DAY, rfc3339

ALWAYS = 0
"""The time from which a price without `effective_from` applies, in microseconds since 1970."""


class CostSource(StrEnum):
    """Where a cost comes from. `none` means that the caller gave no cost and the service could not compute the cost."""

    GIVEN = "given"
    OVERRIDE = "override"
    LIST = "list"
    NONE = "none"


class PriceEntry(NamedTuple):
    """Where a price comes from: an override in the database, or an entry of the price list.

    `override_id` is None if the entry is in the list. An alias is an override that uses the price of another model. For
    an alias, `same_as` is the name of the other model, as `provider/model`. Otherwise `same_as` is None.
    """

    source: CostSource
    provider: str | None
    model: str
    override_id: str | None = None
    same_as: str | None = None


class EffectivePrice:
    """A price, where it comes from (`entry`), and the time in which it applies.

    The price applies from `begins` on (microseconds since 1970). If `daily` is given, the price applies only between
    these two times of each UTC day (microseconds since midnight). If the first time is later than the second, the price
    applies across midnight. `text` is the price as JSON, as reservations store it. The text is computed only once,
    because many calls use the same object.
    """

    __slots__ = ("begins", "daily", "entry", "price", "text")

    def __init__(
        self, entry: PriceEntry, price: Price, begins: int = ALWAYS, daily: tuple[int, int] | None = None
    ) -> None:
        self.entry = entry
        self.price = price
        self.begins = begins
        self.daily = daily
        self.text = _text(entry, price, begins)

    def holds(self, now: int) -> bool:
        """Return whether the price applies at the given time."""
        if now < self.begins:
            return False
        if self.daily is None:
            return True
        (start, end), time = self.daily, now % DAY
        return start <= time < end if start <= end else time >= start or time < end

    def under(self, entry: PriceEntry, begins: int) -> "EffectivePrice":
        """Return the same price for an alias. It applies from `begins` on, but not before the price itself applies."""
        return EffectivePrice(entry, self.price, max(begins, self.begins), self.daily)


class Schedule(NamedTuple):
    """The prices of a model. The first price that applies at a given time is used.

    `is_final` is false while the price list is still being loaded.
    """

    prices: tuple[EffectivePrice, ...] = ()
    is_final: bool = True

    def at(self, now: int) -> EffectivePrice | None:
        """Return the price that applies at the given time. Return None if the model has no price at that time."""
        for each in self.prices:
            if each.holds(now):
                return each
        return None


def _text(entry: PriceEntry, price: Price, begins: int) -> str:
    head = {"source": entry.source, "provider": entry.provider, "model": entry.model, "same_as": entry.same_as}
    if begins != ALWAYS:
        head["effective_from"] = rfc3339(begins)
    given = {name: value for name, value in head.items() if value is not None}
    told = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    members = price_json.members(price)
    return f"{told[:-1]},{members}}}" if members else told
