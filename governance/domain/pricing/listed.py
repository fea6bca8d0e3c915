"""The list of prices: its entries, its status and its dates."""

from datetime import date
from enum import StrEnum
from typing import NamedTuple

from governance.domain.pricing.schedule import EffectivePrice, Schedule
from governance.domain.times import DAY

EPOCH = date(1970, 1, 1)


class ListedModel(NamedTuple):
    """A model of the list with its prices, the preferred one first. The last one always holds.

    A price may lack rates: some models are priced by the page or not at all. `not_priced` names the rates of the list
    that no token count here uses, for example those of images and searches.
    """

    provider: str
    model: str
    prices: tuple[EffectivePrice, ...]
    not_priced: tuple[str, ...] = ()

    def at(self, now: int) -> EffectivePrice:
        """Return the price that holds at an instant."""
        return Schedule(self.prices).at(now) or self.prices[-1]


class ListStatus(StrEnum):
    """Whether the list is loaded."""

    LOADING = "loading"
    LOADED = "loaded"
    FAILED = "failed"


class ListInfo(NamedTuple):
    """The list: its status, its version, and the dates on which its prices begin, the earliest first."""

    status: ListStatus
    version: str | None = None
    dates: tuple[date, ...] = ()

    def newest(self, now: int) -> date | None:
        """Return the date of the newest price that has begun, or None without a list.

        The package does not say when it was made, but the list is not older than this date.
        """
        begun = [each for each in self.dates if (each - EPOCH).days <= now // DAY]
        return begun[-1] if begun else None
