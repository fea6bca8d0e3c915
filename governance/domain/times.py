"""Converts instants from and to datetimes and text.

An instant is a point in time, in whole microseconds since 1970-01-01 UTC. Responses show an instant as RFC 3339 text
with `Z`.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Clock = Callable[[], int]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s"))

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]"
    r"([01][0-9]|2[0-3])(:[0-5][0-9]:[0-5][0-9])(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-5][0-9])"
)


def to_datetime(instant: int) -> datetime:
    """Convert an instant to an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=instant)


def from_datetime(moment: datetime) -> int:
    """Convert an aware datetime to an instant. The result is exact, because no float is used."""
    return (moment - EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=8192)
def rfc3339(instant: int) -> str:
    """Write an instant as RFC 3339 in UTC, with six decimal places (`…:00.500000Z`) or none (`…:00Z`)."""
    moment = EPOCH + timedelta(microseconds=instant)
    return moment.isoformat().replace("+00:00", "Z")


def to_the_second(instant: int) -> str:
    """Write an instant for a person: RFC 3339 without decimal places."""
    return rfc3339(instant - instant % SECOND)


def lasting(length: int) -> str:
    """Write a length of time (microseconds) for a person, in the two largest units that are not 0, as in `4h 12m`."""
    parts = []
    for size, letter in UNITS:
        count, length = divmod(length, size)
        parts += [f"{count}{letter}"] if count else []
    return " ".join(parts[:2]) or "0s"


def parse_rfc3339(text: str) -> int:
    """Parse RFC 3339 text to an instant. Digits beyond the microsecond are dropped. Raises ValueError."""
    match = RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(text)
    date, hour, rest, fraction, offset = match.groups()
    micros = (fraction or ".")[1:7].ljust(6, "0")
    try:
        instant = from_datetime(datetime.fromisoformat(f"{date}T{hour}{rest}.{micros}{offset.upper()}"))
        to_datetime(instant)
    except OverflowError as error:
        raise ValueError(text) from error
    return instant
