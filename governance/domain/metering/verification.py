"""The results of comparing the counters with the ledger.

A counter contains the used and reserved amounts of a rule in one time window. The ledger contains the amounts of every
single call. The sums of the ledger must be equal to the counters.
"""

from typing import NamedTuple


class CounterDifference(NamedTuple):
    """A counter that differs from the ledger: the amounts in the counter, and the sums of its amounts in the ledger."""

    rule_id: str
    metric: str
    window_start: int
    used: int
    ledger_used: int
    reserved: int
    ledger_reserved: int


class FullCounter(NamedTuple):
    """A counter that is close to the largest number that a counter can contain."""

    rule_id: str
    metric: str
    window_start: int
