"""A difference that is found when the usage history is compared with the calls that it sums."""

from typing import NamedTuple

from governance.domain.history.usage import Series, UsageAmounts


class UsageDifference(NamedTuple):
    """A stored sum of usage that differs from what it sums.

    `period` is the length of time that the sum covers. A sum of 15 minutes (`15m`) sums calls. The sum of a day sums
    these shorter sums, and the sum of a month sums days. `series` is the provider, model, virtual key and user.
    """

    period: str
    start: int
    series: Series
    stored: UsageAmounts
    summed: UsageAmounts
