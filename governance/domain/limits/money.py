"""Converts money between dollars, as in JSON, and nano-dollars, as inside the service.

A nano-dollar is a billionth of a dollar. Inside the service, money is a whole number of nano-dollars. In JSON, money is
an exact decimal number of dollars. A price of $0.15 per million tokens is 150 nano-dollars per token.
"""

from decimal import ROUND_CEILING, Context, Decimal

NANOS = 1_000_000_000
NANO = Decimal("1e-9")
UP = Context(prec=40, rounding=ROUND_CEILING, traps=[])

MAX_LIMIT = 1_000_000_000 * NANOS
"""The largest budget, in nano-dollars: one billion dollars (docs/contract.md §1)."""
MAX_COST = 1_000_000 * NANOS
"""The largest cost of one call, in nano-dollars: one million dollars (docs/contract.md §1)."""


def nanos(dollars: int | Decimal, most: int) -> tuple[int, bool]:
    """Return `dollars` in nano-dollars, rounded up, and whether the conversion was exact.

    Raises ValueError for an amount below 0 or above `most` (nano-dollars). The range is checked first, because
    `int(Decimal("1e900000"))` would block a worker for half a minute.
    """
    if not 0 <= dollars <= most // NANOS:
        raise ValueError(dollars)
    rounded = UP.quantize(Decimal(dollars), NANO)
    return int(rounded.scaleb(9, UP)), rounded == dollars


def dollars(nanos: int) -> str:
    """Return nano-dollars as an exact JSON number of dollars without an exponent: `50`, `0.00015`."""
    if nanos < 0:
        return f"-{dollars(-nanos)}"
    whole, fraction = divmod(nanos, NANOS)
    return f"{whole}.{fraction:09d}".rstrip("0") if fraction else str(whole)
