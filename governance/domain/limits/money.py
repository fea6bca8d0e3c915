"""Money is whole nano-dollars, held as integers; dollars exist only on the wire, as exact decimal text.

`0.15 $` per million tokens is 150 nano-dollars a token, so every published price is a whole number here.
"""

from decimal import ROUND_CEILING, Context, Decimal

NANOS = 1_000_000_000
NANO = Decimal("1e-9")
UP = Context(prec=40, rounding=ROUND_CEILING, traps=[])

MAX_LIMIT = 1_000_000_000 * NANOS
"""The largest budget: a billion dollars (docs/contract.md §1)."""
MAX_COST = 1_000_000 * NANOS
"""The largest cost of one call: a million dollars (docs/contract.md §1)."""


def nanos(dollars: int | Decimal, most: int) -> tuple[int, bool]:
    """`dollars` in nano-dollars, rounded up, and whether that was exact.

    The range is checked before anything is scaled, since `int(Decimal("1e900000"))` would hold a worker for
    half a minute. Raises ValueError outside 0 … `most` (nano-dollars).
    """
    if not 0 <= dollars <= most // NANOS:
        raise ValueError(dollars)
    rounded = UP.quantize(Decimal(dollars), NANO)
    return int(rounded.scaleb(9, UP)), rounded == dollars


def dollars(nanos: int) -> str:
    """Nano-dollars as an exact JSON number in dollars: `50`, `0.00015`; never an exponent."""
    if nanos < 0:
        return f"-{dollars(-nanos)}"
    whole, fraction = divmod(nanos, NANOS)
    return f"{whole}.{fraction:09d}".rstrip("0") if fraction else str(whole)
