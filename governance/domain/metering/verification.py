"""The results of comparing the counters with the ledger."""

from typing import NamedTuple


class CounterDifference(NamedTuple):
    """A counter that differs from the ledger: the amounts of the counter, and the sums of the ledger."""

    rule_id: str
    metric: str
    window_start: int
    used: int
    ledger_used: int
    reserved: int
    ledger_reserved: int


class FullCounter(NamedTuple):
    """A counter close to the largest number that a counter can contain."""

    rule_id: str
    metric: str
    window_start: int
