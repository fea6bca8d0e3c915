"""The price list, which comes from an installed package: its models, its status and its dates."""

from datetime import date
from enum import StrEnum
from typing import NamedTuple

from governance.domain.pricing.schedule import EffectivePrice, Schedule
from governance.domain.times import DAY

EPOCH = date(1970, 1, 1)


class ListedModel(NamedTuple):
    """A model of the price list with its prices. The first price that applies at a given time is used.

    The last price has no start date, so it applies at any time. A price may have no rates, because some models are
    priced by the page or not at all. `not_priced` names the rates of the model in the list that this service does not
    use, for example the rates for images and searches.
    """

    provider: str
    model: str
    prices: tuple[EffectivePrice, ...]
    not_priced: tuple[str, ...] = ()

    def at(self, now: int) -> EffectivePrice:
        """Return the price that applies at the given time."""
        return Schedule(self.prices).at(now) or self.prices[-1]


class ListStatus(StrEnum):
    """Whether the list is loaded."""

    LOADING = "loading"
    LOADED = "loaded"
    FAILED = "failed"


class ListInfo(NamedTuple):
    """The status of the list, its version, and the dates from which its prices apply, in ascending order."""

    status: ListStatus
    version: str | None = None
    dates: tuple[date, ...] = ()

    def newest(self, now: int) -> date | None:
        """Return the latest date, up to today, from which a price of the list applies.

        Return None if there is no such date. The package does not say when the list was made, but the list is not older
        than this date.
        """
        begun = [each for each in self.dates if (each - EPOCH).days <= now // DAY]
        return begun[-1] if begun else None
