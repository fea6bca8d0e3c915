"""Formats amounts and times: exact money, counts with thousands separators, and times as `<time>` elements.

A script in the page then shows the times in the browser's time zone.
"""

from decimal import Decimal
from typing import Any

from markupsafe import Markup

from governance.domain.limits import money
from governance.domain.limits.limit import Metric
from governance.domain.times import lasting, parse_rfc3339, rfc3339, to_datetime


def dollars(nanos: int) -> str:
    """Write nano-dollars as exact dollars with thousands separators and at least two decimal places: `$1,234.50`."""
    whole, _, fraction = money.dollars(abs(nanos)).partition(".")
    return f"{'-' if nanos < 0 else ''}${int(whole):,}.{fraction.ljust(2, '0')}"


def count(number: int) -> str:
    """Write a whole number with thousands separators."""
    return f"{number:,}"


def amount(metric: str, value: int) -> str:
    """Write an amount of dollars, tokens or requests. Only dollars are written with their unit."""
    return dollars(value) if metric == Metric.COST else count(value)


def about(metric: str, value: int) -> str:
    """Write an estimated amount of dollars, tokens or requests. Dollars are rounded to cents."""
    cent = money.NANOS // 100
    return f"about {amount(metric, (value + cent // 2) // cent * cent if metric == Metric.COST else value)}"


def nanos(value: Decimal | int) -> int:
    """Convert an amount in dollars, as it is in a response of the API, to nano-dollars."""
    return int(Decimal(value).scaleb(9))


def when(instant: int | str | None) -> str | Markup:
    """Write an instant (microseconds, or RFC 3339) as a `<time>` element in UTC.

    A script in the page then shows the instant in the viewer's time zone.
    """
    if instant is None:
        return "–"
    known = parse_rfc3339(instant) if isinstance(instant, str) else instant
    second = known - known % 1_000_000
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(second), f"{to_datetime(second):%Y-%m-%d %H:%M} UTC")


def duration(length: int) -> str:
    """Write a length of time in microseconds in its two largest units."""
    return lasting(max(0, length))


def percent(part: int, whole: int) -> str:
    """Write a share as a whole percentage, rounded down. 100 % is shown only if nothing is left."""
    return f"{part * 100 // whole} %"


FUNCTIONS: dict[str, Any] = {
    "dollars": dollars,
    "count": count,
    "amount": amount,
    "about": about,
    "when": when,
    "duration": duration,
    "percent": percent,
}
