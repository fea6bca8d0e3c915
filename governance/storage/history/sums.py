"""Exact sums of usage. SQLite's sum fails beyond 2^63, so the high and the low bits are added apart."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func

HALF = 32
LOW = (1 << HALF) - 1
LARGEST = 2**62
"""No sum is shown or stored as more than this."""


def halves(column: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return the sums of the high and of the low bits of a column."""
    return func.sum(column.bitwise_rshift(HALF)), func.sum(column.bitwise_and(LOW))


def joined(sums: Sequence[int]) -> tuple[int, ...]:
    """Return the sums of columns, from their pairs of halves."""
    pairs = zip(sums[::2], sums[1::2], strict=True)
    return tuple(min(LARGEST, (int(high or 0) << HALF) + int(low or 0)) for high, low in pairs)
