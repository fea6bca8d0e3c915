"""What the comparison of counters with their ledger found."""

from typing import NamedTuple


class CounterDifference(NamedTuple):
    """A counter that does not equal its ledger: what it says, and what the ledger adds up to."""

    rule_id: str
    metric: str
    window_start: int
    used: int
    ledger_used: int
    reserved: int
    ledger_reserved: int


class FullCounter(NamedTuple):
    """A counter that can hardly take more."""

    rule_id: str
    metric: str
    window_start: int
