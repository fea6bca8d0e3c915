"""A difference that is found when the usage history is compared with the calls that it sums."""

from typing import NamedTuple

from governance.domain.history.usage import Series, UsageAmounts


class UsageDifference(NamedTuple):
    """A bucket (`period` is 15m), a day or a month whose stored sum differs from the calls or periods that it sums."""

    period: str
    start: int
    series: Series
    stored: UsageAmounts
    summed: UsageAmounts
