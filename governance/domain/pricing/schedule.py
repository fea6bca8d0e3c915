"""The prices of one model over time, and the price that holds at an instant."""

import json
from enum import StrEnum
from typing import NamedTuple

from governance.domain.pricing import price_json
from governance.domain.pricing.price import Price
from governance.domain.times import DAY, rfc3339

ALWAYS = 0
"""The instant from which a price without `effective_from` holds, in microseconds."""


class CostSource(StrEnum):
    """Where a cost comes from. The value `none` means that no cost was given and none could be computed."""

    GIVEN = "given"
    OVERRIDE = "override"
    LIST = "list"
    NONE = "none"


class PriceEntry(NamedTuple):
    """A source of a price: an override, or an entry of the list. `override_id` is None for the list.

    `same_as` is the name that an alias leads to, as `provider/model`. It is None if the entry is not an alias.
    """

    source: CostSource
    provider: str | None
    model: str
    override_id: str | None = None
    same_as: str | None = None


class EffectivePrice:
    """A price, the entry that has it, and when it holds.

    The price holds from `begins` (microseconds). With `daily`, it holds only between two times of each UTC day, in
    microseconds. The first time may be later than the second. `text` is the price as JSON, as reservations store it.
    Many calls use the same object, so the text is made once.
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
        """Return whether the price holds at an instant."""
        if now < self.begins:
            return False
        if self.daily is None:
            return True
        (start, end), time = self.daily, now % DAY
        return start <= time < end if start <= end else time >= start or time < end

    def under(self, entry: PriceEntry, begins: int) -> "EffectivePrice":
        """Return the same price as found through an alias, from `begins` on."""
        return EffectivePrice(entry, self.price, max(begins, self.begins), self.daily)


class Schedule(NamedTuple):
    """The prices of a model, the preferred one first. `is_final` is false while the list is still being loaded."""

    prices: tuple[EffectivePrice, ...] = ()
    is_final: bool = True

    def at(self, now: int) -> EffectivePrice | None:
        """Return the price that holds at an instant, or None if the model has none."""
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
