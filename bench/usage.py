"""Fills a database with usage: a month of buckets, a year of sums, and a day of single calls.

A series is the usage of one model by one virtual key (a key that identifies a caller). A bucket is the usage of a
series in 15 minutes. A sum is the usage of a series in a day or a month.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, insert, update

from governance.domain.history.calendar import Calendar
from governance.domain.history.usage import BUCKET, UsageAmounts
from governance.domain.times import DAY, HOUR, parse_rfc3339
from governance.storage.store import Database
from governance.storage.tables import (
    reservations,
    usage_bounds,
    usage_buckets,
    usage_days,
    usage_months,
    usage_series,
    usage_sums,
)

NOW = parse_rfc3339("2026-11-27T09:00:00Z")
MODELS, DAYS, MONTHS = 20, 30, 12
EVERY = 3 * HOUR
CALLS = 100_000
"""The number of stored reservations. What-if requests replay them against a limit that is not stored."""
CALENDAR = Calendar("UTC")
FIRST = CALENDAR.day_of(NOW - DAYS * DAY)
"""The start of the first day with buckets."""
SPENT = UsageAmounts(requests=1, input_tokens=900, output_tokens=100, cached_tokens=300, cost=2_250_000)


def fill(database: Database, keys: int) -> None:
    """Store the usage of 20 models by `keys` virtual keys. Each series has one bucket every three hours."""
    series = [(f"model-{model}", f"vk-{key:03}") for key in range(keys) for model in range(MODELS)]
    whom = [
        {"id": number + 1, "provider": "openai", "model": model, "virtual_key_id": key, "user_id": ""}
        for number, (model, key) in enumerate(series)
    ]
    _insert(database, usage_series, whom)
    offsets = [number * 7 % (EVERY // BUCKET) * BUCKET for number in range(len(series))]
    for start in range(FIRST, NOW - EVERY, EVERY):
        _add(database, usage_buckets, [start + offset for offset in offsets])
    months = list(_months())
    for table, period, starts in ((usage_days, "day", _days(months[-1])), (usage_months, "month", months)):
        for start in starts:
            _add(database, table, [start] * len(series))
        marks = {"period": period, "timezone": "UTC", "generation": 0, "is_current": True}
        _insert(database, usage_sums, [marks | {"start": start} for start in starts])
    with database.write() as connection:
        connection.execute(update(usage_bounds).values(buckets_since=FIRST, pruned_until=NOW - 2 * DAY))
    _insert(database, reservations, list(_calls(keys)))


def _insert(database: Database, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    with database.write() as connection:
        connection.execute(insert(table), rows)


def _add(database: Database, table: Table, starts: Sequence[int]) -> None:
    """Add one row for each series. The series are numbered from 1."""
    amounts = SPENT._asdict()
    _insert(database, table, [{"start": start, "series_id": own + 1, **amounts} for own, start in enumerate(starts)])


def _months() -> Iterator[int]:
    """Yield the starts of the last 12 months that have ended, the newest first."""
    month = CALENDAR.month_of(NOW)
    for _ in range(MONTHS):
        month = CALENDAR.month_of(month - DAY)
        yield month


def _days(first: int) -> list[int]:
    """Return the starts of the days that have ended, from `first` on."""
    days = [first]
    while CALENDAR.next_day(CALENDAR.next_day(days[-1])) < NOW - HOUR:
        days.append(CALENDAR.next_day(days[-1]))
    return days


def _calls(keys: int) -> Iterator[Mapping[str, Any]]:
    step = DAY // (CALLS + 1)
    for number in range(CALLS):
        at = NOW - DAY + number * step
        yield {
            "id": f"call-{number}",
            "status": "settled",
            "model": f"model-{number % MODELS}",
            "provider": "openai",
            "virtual_key_id": f"vk-{number % keys:03}",
            "requests": 1,
            "held_tokens": 2000,
            "held_cost": 5_000_000,
            "used_tokens": 1000,
            "used_cost": 2_250_000,
            "created_at": at,
            "expires_at": at + HOUR,
            "settled_at": at + 2_000_000,
            "ended_at": at + 2_000_000,
            "late": False,
        }
