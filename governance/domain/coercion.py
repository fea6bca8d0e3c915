"""Values as a loosely typed store holds them, brought into the form in which the same thing comes over the wire.

What is of no form that we know stays as it is, for the schema to refuse.
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
"""What Go's SQLite drivers write: an offset with or without a colon, then perhaps a zone's name and a clock reading."""
NEVER = "0001-01-01"
"""The date of Go's zero time."""
MILLISECONDS_FROM = 10**12
"""The drivers read a larger whole number as milliseconds, others as seconds."""
FLAGS = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}
QUARTERS = re.compile(r"([0-9]{1,3})Q")
SANE = 10**15


def time(value: Any) -> Any:
    """A time as RFC 3339 text; Go's zero time is None."""
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
    """A time in microseconds; None where there is none. ValueError where there is another thing."""
    text = time(value)
    if text is None:
        return None
    return parse_rfc3339(text if isinstance(text, str) else "")


def flag(value: Any) -> Any:
    """A boolean."""
    known = value.lower() if isinstance(value, str) else value
    return FLAGS.get(known, value) if isinstance(known, int | str) else value


def number(value: Any) -> Any:
    """A number without a float in it: a float stands for the shortest decimal that reads as the same float."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def dollars(value: Any) -> Any:
    """An amount of dollars, rounded to the nearest nano-dollar."""
    amount = number(value)
    if not isinstance(amount, Decimal) or not abs(amount) < SANE:
        return amount
    return amount.quantize(NANO, context=Context(prec=40, rounding=ROUND_HALF_UP))


def nanos(value: Any) -> int | None:
    """An amount of dollars in nano-dollars, rounded to the nearest; None where it is none from 0 to a sane most."""
    amount = dollars(value)
    return int(amount * NANOS) if _sane(amount) else None


def count(value: Any) -> int | None:
    """A number of tokens or requests, rounded up; None where it is none from 0 to a sane most."""
    amount = number(value)
    return int(Decimal(amount).to_integral_value(ROUND_CEILING)) if _sane(amount) else None


def _sane(amount: Any) -> bool:
    return isinstance(amount, int | Decimal) and 0 <= amount < SANE


def duration(value: Any) -> Any:
    """A window's length; a number of quarters is three times as many months, rolling and on the calendar alike."""
    match = QUARTERS.fullmatch(value) if isinstance(value, str) else None
    return f"{3 * int(match[1])}M" if match else value
