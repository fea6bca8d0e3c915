"""Converts values from Bifrost's database and from config files into the form that the schemas of the HTTP API expect.

Bifrost is an LLM gateway, written in Go, from which this service imports limits. Most functions return a value of an
unknown form unchanged, and then the schema refuses it.
"""

import re
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from typing import Any

from governance.domain.limits.money import NANO, NANOS
from governance.domain.times import parse_rfc3339, rfc3339, to_datetime

TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?"
    r" ?(Z|[+-][0-9]{2}:?[0-9]{2})?(?: [A-Za-z0-9+-]+)?(?: m=[+-][0-9.]+)?"
)
"""A time as Go's SQLite drivers write it.

The fraction, the offset and its colon, the name of the zone, and the monotonic clock (`m=+0.01`) are optional.
"""
NEVER = "0001-01-01"
"""The date of Go's zero time, which means that no time is set."""
MILLISECONDS_FROM = 10**12
"""Go's SQLite drivers read integers up to this one as seconds, and larger integers as milliseconds."""
FLAGS = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}
QUARTERS = re.compile(r"([0-9]{1,3})Q")
SANE = 10**15


def time(value: Any) -> Any:
    """Convert a time to RFC 3339 text. Go's zero time becomes None."""
    if isinstance(value, int):
        return _counted(value)
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    date, clock, fraction, offset = match.groups()
    if date == NEVER:
        return None
    zone = offset or "Z"
    return f"{date}T{clock}{(fraction or '')[:10]}{zone if zone == 'Z' or ':' in zone else f'{zone[:3]}:{zone[3:]}'}"


def _counted(value: int) -> Any:
    micros = value * (1_000 if abs(value) > MILLISECONDS_FROM else 1_000_000)
    try:
        to_datetime(micros)
    except OverflowError:
        return value
    return rfc3339(micros)


def instant(value: Any) -> int | None:
    """Convert a time to microseconds. Return None if there is no time. Raises ValueError if the value is not a time."""
    text = time(value)
    if text is None:
        return None
    return parse_rfc3339(text if isinstance(text, str) else "")


def flag(value: Any) -> Any:
    """Convert 0, 1 and the texts `0`, `1`, `true` and `false` to a boolean."""
    known = value.lower() if isinstance(value, str) else value
    return FLAGS.get(known, value) if isinstance(known, int | str) else value


def number(value: Any) -> Any:
    """Convert a float to a Decimal with the fewest digits that still give the same float."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def dollars(value: Any) -> Any:
    """Round an amount of dollars to the nearest nano-dollar."""
    amount = number(value)
    if not isinstance(amount, Decimal) or not abs(amount) < SANE:
        return amount
    return amount.quantize(NANO, context=Context(prec=40, rounding=ROUND_HALF_UP))


def nanos(value: Any) -> int | None:
    """Convert dollars to nano-dollars, rounded to the nearest.

    Return None if the value is not a number from 0 up to, but not including, 10^15.
    """
    amount = dollars(value)
    return int(amount * NANOS) if _sane(amount) else None


def count(value: Any) -> int | None:
    """Round a number of tokens or requests up.

    Return None if the value is not a number from 0 up to, but not including, 10^15.
    """
    amount = number(value)
    return int(Decimal(amount).to_integral_value(ROUND_CEILING)) if _sane(amount) else None


def _sane(amount: Any) -> bool:
    return isinstance(amount, int | Decimal) and 0 <= amount < SANE


def duration(value: Any) -> Any:
    """Convert quarters of a year in the length of a window to months: `2Q` becomes `6M`, which has the same windows."""
    match = QUARTERS.fullmatch(value) if isinstance(value, str) else None
    return f"{3 * int(match[1])}M" if match else value
