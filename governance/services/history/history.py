"""Answers queries about usage over time from the database.

Usage is stored in buckets. A bucket contains the sums of the calls in 15 minutes. For older usage, only the sums of
days and months are stored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, InvalidRequest, NotReady
from governance.domain.history.calendar import SHORT, Calendar, Period, Span
from governance.domain.history.moments import span_of
from governance.domain.history.query import (
    BY_TIME,
    COLUMNS,
    Group,
    HistoryQuery,
    Names,
    SpenderRanking,
    UsageFilter,
    UsagePage,
    UsageRow,
)
from governance.domain.history.usage import BUCKET, NOTHING, bucket_of
from governance.domain.records.list_query import Page
from governance.domain.times import DAY, Clock, rfc3339
from governance.storage.history import names, rankings, reading
from governance.storage.history.reading import Segment
from governance.storage.store import Database
from governance.storage.tables import usage_buckets, usage_days, usage_months

MOST_SPANS = 4000
"""A query may have at most this many periods. For comparison, 35 days contain 3,360 periods of 15 minutes."""
STREAMED = 10_000
"""The number of rows that `stream` reads in one transaction. So a slow client does not keep a transaction open."""
TOO_MANY = "Ask for fewer periods: from since to until there are more than {} of bucket={}."
DAYS_ONLY = (
    "Ask for bucket=day, week, month or total in the time zone {}, from midnight to midnight: of usage before {} only "
    "the sums of its days are kept."
)
ANOTHER_ZONE = "Set GOVERNANCE_TIMEZONE to {0}: the days of the usage history are summed in that time zone."
NOT_KEPT = "Ask from {} on: older usage is not kept."


class History:
    """Reads usage over time. `calendar` has the time zone in which the days and months of the stored sums begin."""

    def __init__(self, database: Database, calendar: Calendar, clock: Clock) -> None:
        self._database = database
        self._calendar = calendar
        self._clock = clock

    def query(self, given: Mapping[str, Any]) -> HistoryQuery:
        """Build a query from validated parameters, with defaults for missing ones. Raises InvalidRequest."""
        now = self._clock()
        timezone = given.get("timezone") or self._calendar.timezone
        since, until = span_of(given.get("since"), given.get("until"), _calendar(timezone), now, now + 1)
        descending = given.get("order")
        return HistoryQuery(
            since=bucket_of(since),
            until=until + -until % BUCKET,
            period=given["bucket"],
            timezone=timezone,
            groups=given["group_by"],
            filter=UsageFilter(*(given.get(name) for name in UsageFilter._fields)),
            sort_by=given["sort_by"],
            descending=given["sort_by"] != BY_TIME if descending is None else descending,
            page=Page(given["limit"], given["offset"]),
        )

    def refuse_another_zone(self) -> None:
        """Raise NotReady if the stored sums of days are for another time zone than the one in the settings."""
        with self._database.read() as connection:
            summed = reading.zone(connection)
        if summed is not None and summed != self._calendar.timezone:
            raise NotReady(ANOTHER_ZONE.format(summed))

    def days_ago(self, days: int) -> int:
        """Return the start of the day this many days ago (microseconds), in the time zone of the stored sums."""
        return self._calendar.day_of(max(0, self._clock() - days * DAY))

    def bounds(self, query: HistoryQuery) -> dict[str, str]:
        """Return the time span and the time zone of a query as text. The time span consists of whole buckets."""
        return {"since": rfc3339(query.since), "until": rfc3339(query.until), "timezone": query.timezone}

    def page(self, query: HistoryQuery) -> UsagePage:
        """Return a page of rows, and the number and the sum of all rows. Raises InvalidRequest, Unavailable."""
        with self._database.read() as connection:
            found = reading.page(connection, query, *self._plan(connection, query))
            return _named(connection, query, UsagePage(*found, {}))

    def ranked(self, query: HistoryQuery, most: int) -> SpenderRanking:
        """Return the members of each group with the highest cost: at most `most` per group.

        A group is, for example, all models or all virtual keys. Raises InvalidRequest, Unavailable.
        """
        with self._database.read() as connection:
            (span, *_), segments = self._plan(connection, query._replace(period=Period.TOTAL))
            rows, whole = rankings.ranked(connection, query, span, segments, most)
            return SpenderRanking(rows, whole, _names(connection, rows))

    def stream(self, query: HistoryQuery) -> Iterator[UsagePage]:
        """Yield all rows in parts, without their sum.

        Each part is read in its own transaction. Raises InvalidRequest, Unavailable.
        """
        offset, count = 0, STREAMED
        while count == STREAMED:
            part = query._replace(page=Page(STREAMED, offset))
            with self._database.read() as connection:
                rows = reading.rows(connection, part, *self._plan(connection, part))
                page = _named(connection, query, UsagePage(rows, len(rows), NOTHING, {}))
            yield page
            count = len(rows)
            offset += count

    def _plan(self, connection: Connection, query: HistoryQuery) -> tuple[list[Span], list[Segment]]:
        """Return the periods of a query, and the parts of its time span with their tables. Raises InvalidRequest."""
        spans = []
        for span in _calendar(query.timezone).spans(query.period, query.since, query.until):
            spans.append(span)
            if len(spans) > MOST_SPANS:
                sentence = TOO_MANY.format(MOST_SPANS, query.period)
                raise InvalidRequest(sentence, param="bucket", code=Code.INVALID_PARAMETER)
        return spans, _joined(self._segments(connection, query))

    def _segments(self, connection: Connection, query: HistoryQuery) -> Iterator[Segment]:
        """Split the time span of a query into parts, and yield each part with the table that contains its usage.

        If the sum of a month or a day is stored, it is used where the query allows it. All other usage is read from
        buckets. Raises InvalidRequest.
        """
        calendar, since = self._calendar, reading.buckets_since(connection)
        if not self._is_of_days(query):
            if query.since < since:
                raise self._too_fine(connection, since)
            yield Segment(usage_buckets, Span(query.since, query.until))
            return
        days, months = reading.summed(connection, "day"), reading.summed(connection, "month")
        by_month = query.period in (Period.MONTH, Period.TOTAL)
        start = query.since
        while start < query.until:
            day_end, month_end = calendar.next_day(start), calendar.next_month(start)
            if by_month and start in months and month_end <= query.until:
                table, end = usage_months, month_end
            elif day_end <= query.until and (start in days or start < since):
                table, end = usage_days, day_end
            elif start < since:
                raise self._too_fine(connection, since)
            else:
                table, end = usage_buckets, min(query.until, day_end)
            yield Segment(table, Span(start, end))
            start = end

    def _is_of_days(self, query: HistoryQuery) -> bool:
        """Return whether the stored sums of days can answer a query.

        The query must have the time zone of the sums, start at the start of a day, and have periods of a day or longer.
        """
        same_zone = query.timezone == self._calendar.timezone
        return same_zone and query.period not in SHORT and self._calendar.day_of(query.since) == query.since

    def _too_fine(self, connection: Connection, since: int) -> InvalidRequest:
        has_sums = reading.first_sum(connection) is not None
        sentence = DAYS_ONLY.format(self._calendar.timezone, rfc3339(since))
        sentence = sentence if has_sums else NOT_KEPT.format(rfc3339(since))
        return InvalidRequest(sentence, param="since", code=Code.RESOLUTION_UNAVAILABLE)


_calendar = lru_cache(64)(Calendar)


def _joined(segments: Iterable[Segment]) -> list[Segment]:
    """Join consecutive segments that are read from the same table."""
    found: list[Segment] = []
    for table, span in segments:
        if found and found[-1].table is table:
            found[-1] = Segment(table, Span(found[-1].span.start, span.end))
        else:
            found.append(Segment(table, span))
    return found


def _named(connection: Connection, query: HistoryQuery, page: UsagePage) -> UsagePage:
    return page._replace(names=_names(connection, dict.fromkeys(query.groups, page.rows)))


def _names(connection: Connection, rows: Mapping[Group, Sequence[UsageRow]]) -> Names:
    """Return the names of the virtual keys and users in rows. `rows` contains the rows by group."""
    members = {group: [getattr(row.series, COLUMNS[group]) for row in found] for group, found in rows.items()}
    return names.of_members(connection, members)
