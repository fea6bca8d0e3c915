"""A finding when the usage history is compared with the calls that it sums."""

from typing import NamedTuple

from governance.domain.history.usage import Series, UsageAmounts


class UsageDifference(NamedTuple):
    """A bucket (`period` is 15m), a day or a month that differs from what it sums."""

    period: str
    start: int
    series: Series
    stored: UsageAmounts
    summed: UsageAmounts
