"""Checks the usage history, by comparing sums of usage with the rows that were summed.

A bucket contains the usage of one series in 15 minutes. A series is a combination of provider, model, virtual key and
user. Buckets are compared with reservations and usage reports, days with buckets, and months with days.

Reservations that were admitted before `pruned_until` may have been deleted, so only later buckets are compared. If a
day has too many series, only some of them are stored separately. The usage of all others is stored as one series,
`(other)`. On such a day, the sum of all series is compared for each bucket.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Table, case, func, select
from sqlalchemy.engine import Connection

from governance.domain.history.calendar import Calendar, Span
from governance.domain.history.usage import BUCKET, NOTHING, REST, Series, UsageAmounts, series_of
from governance.domain.history.verification import UsageDifference
from governance.domain.metering.request import Call
from governance.domain.times import DAY
from governance.storage.history.sums import LARGEST
from governance.storage.tables import (
    reservations,
    usage_bounds,
    usage_buckets,
    usage_days,
    usage_months,
    usage_series,
    usage_sums,
)

COUNTED = tuple(name for name in UsageAmounts._fields if name != "denied")
"""The amounts that can be computed from reservations and reports.

The number of refused calls (`denied`) is not among them, because a refused call leaves no reservation.
"""
PART = 2000

Key = tuple[int, Series]


class SummedPeriod(NamedTuple):
    """A day or a month.

    `sums` is the table that contains its sums. `source` is the table whose rows are summed.
    """

    name: str
    span: Span
    sums: Table
    source: Table


def differences(connection: Connection, calendar: Calendar) -> tuple[int, list[UsageDifference]]:
    """Return the number of buckets, days and months that were compared, and those that differ.

    `calendar` defines when the summed days and months begin.
    """
    buckets, found = _bucket_differences(connection)
    sums, more = _sum_differences(connection, calendar)
    return buckets + sums, found + more


def _bucket_differences(connection: Connection) -> tuple[int, list[UsageDifference]]:
    since = connection.execute(select(usage_bounds.c.pruned_until)).scalar_one()
    since += -since % BUCKET
    stored, rest_days = _stored(connection, since)
    summed = _summed(connection, since)
    whole_stored, whole_summed = (_apart(found, rest_days) for found in (stored, summed))
    keys = whole_stored.keys() | whole_summed.keys()
    pairs = ((key, whole_stored.get(key, NOTHING), whole_summed.get(key, NOTHING)) for key in sorted(keys))
    return len(keys), [UsageDifference("15m", *key, own, other) for key, own, other in pairs if own != other]


def _stored(connection: Connection, since: int) -> tuple[dict[Key, UsageAmounts], set[int]]:
    """Return the buckets without the number of refused calls, and the UTC days that have the series `(other)`."""
    columns = [usage_buckets.c[name] for name in COUNTED]
    who = [usage_series.c[name] for name in Series._fields]
    rows = select(usage_buckets.c.start, *who, *columns).join_from(
        usage_buckets, usage_series, usage_series.c.id == usage_buckets.c.series_id
    )
    found: dict[Key, UsageAmounts] = {}
    result = connection.execute(rows.where(usage_buckets.c.start >= since).execution_options(yield_per=PART))
    for start, *rest in result:
        amounts = UsageAmounts(*rest[len(who) :])
        if any(amounts):
            found[start, Series(*rest[: len(who)])] = amounts
    return found, {start // DAY for start, series in found if series == REST}


def _summed(connection: Connection, since: int) -> dict[Key, UsageAmounts]:
    """Return the usage of the stored reservations and reports, by bucket and series."""
    own, start = reservations.c, (reservations.c.created_at - reservations.c.created_at % BUCKET).label("start")
    over = own.used_cost - own.held_cost
    overrun = case((own.status == "reported", 0), (over > 0, over), else_=0)
    has_used = (own.requests > 0) | (own.used_tokens > 0) | (own.used_cost > 0)
    kinds = (own.input_tokens, own.output_tokens, own.cached_tokens)
    amounts = (own.requests, *kinds, own.used_tokens - own.input_tokens - own.output_tokens, own.used_cost, overrun)
    who = [own[name] for name in Call._fields]
    rows = (
        select(start, *who, *map(func.sum, amounts))
        .where(own.status != "open", own.created_at >= since, has_used)
        .group_by(start, *who)
    )
    found: defaultdict[Key, UsageAmounts] = defaultdict(lambda: NOTHING)
    for at, *rest in connection.execute(rows.execution_options(yield_per=PART)):
        key = at, series_of(Call(*rest[: len(who)]))
        found[key] = found[key].plus(UsageAmounts(*map(int, rest[len(who) :])))
    return dict(found)


def _apart(found: Mapping[Key, UsageAmounts], rest_days: set[int]) -> dict[Key, UsageAmounts]:
    """Return the usage. On the days in `rest_days`, all series of a bucket are added up to one series."""
    whole: defaultdict[Key, UsageAmounts] = defaultdict(lambda: NOTHING)
    for (start, series), amounts in found.items():
        key = start, REST if start // DAY in rest_days else series
        whole[key] = whole[key].plus(amounts)
    return dict(whole)


def _sum_differences(connection: Connection, calendar: Calendar) -> tuple[int, list[UsageDifference]]:
    """Compare the sums that are marked as current.

    A day is compared with its buckets if all of its buckets are still stored. Each month is compared with its days.
    """
    since = connection.execute(select(usage_bounds.c.buckets_since)).scalar_one()
    days = [
        SummedPeriod("day", Span(day, calendar.next_day(day)), usage_days, usage_buckets)
        for day in _current(connection, "day")
        if day >= since
    ]
    months = [
        SummedPeriod("month", Span(month, calendar.next_month(month)), usage_months, usage_days)
        for month in _current(connection, "month")
    ]
    return len(days) + len(months), [each for period in days + months for each in _of_period(connection, period)]


def _current(connection: Connection, period: str) -> list[int]:
    current = select(usage_sums.c.start).where(usage_sums.c.period == period, usage_sums.c.is_current)
    return sorted(connection.execute(current).scalars())


def _of_period(connection: Connection, period: SummedPeriod) -> list[UsageDifference]:
    name, span, sums, source = period
    stored, summed = (_by_series(connection, table, span) for table in (sums, source))
    pairs = ((key, stored.get(key, NOTHING), summed.get(key, NOTHING)) for key in sorted(stored.keys() | summed.keys()))
    return [UsageDifference(name, span.start, key, own, other) for key, own, other in pairs if own != other]


def _by_series(connection: Connection, table: Table, span: Span) -> dict[Series, UsageAmounts]:
    """Return the usage of a span by series."""
    who = [usage_series.c[name] for name in Series._fields]
    amounts = [table.c[name] for name in UsageAmounts._fields]
    rows = select(*who, *amounts).join_from(table, usage_series, usage_series.c.id == table.c.series_id)
    within = rows.where(table.c.start >= span.start, table.c.start < span.end)
    found: defaultdict[Series, UsageAmounts] = defaultdict(lambda: NOTHING)
    for row in connection.execute(within.execution_options(yield_per=PART)):
        series = Series(*row[: len(who)])
        found[series] = found[series].plus(UsageAmounts(*row[len(who) :]))
    return {series: UsageAmounts(*(min(LARGEST, each) for each in sums)) for series, sums in found.items()}
