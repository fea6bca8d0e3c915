"""Answers what-if queries: what a limit that does not exist would have done with past calls.

Recent calls are stored one by one, so they are replayed against the limit. For older calls, only buckets are stored. A
bucket contains the sums of the calls in 15 minutes. From buckets, bounds of the answer are computed.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, InvalidRequest
from governance.domain.history.bucket_bounds import bounds
from governance.domain.history.calendar import Calendar, Span
from governance.domain.history.moments import Moment, span_of
from governance.domain.history.query import Names
from governance.domain.history.refused_groups import MOST_REFUSED, bounded_group
from governance.domain.history.replay import Replay
from governance.domain.history.usage import BUCKET, bucket_of
from governance.domain.history.what_if import WhatIf
from governance.domain.limits.drafts import LimitDraft
from governance.domain.limits.edits import created
from governance.domain.limits.limit import Limit
from governance.domain.records.changes import yield_gil
from governance.domain.times import SECOND, Clock, rfc3339
from governance.services.limits.lookups import is_aligned_by_key
from governance.services.random_ids import RandomIds
from governance.storage.history import calls, names, reading
from governance.storage.history.calls import Place
from governance.storage.store import Database

PART = 2000
"""The number of calls that are read in one transaction. So a long replay does not keep a transaction open."""
BETWEEN = 50
"""After this many calls, the replay lets other threads run. To replay this many calls takes half a millisecond."""
MOST_SECONDS = 10.0
TOO_LONG = f"Give a later since: the calls since then could not be replayed within {MOST_SECONDS:.0f} seconds."
TOO_FINE = (
    "Give since as {} or later, or windows of 15 minutes or longer: of earlier calls only sums of 15 minutes are kept."
)
NOT_KEPT = "Give since as {} or later: older usage is not kept by 15 minutes."


class WhatIfAnswer(NamedTuple):
    """What a limit would have done in a time span, and the names of the virtual keys and users in the answer."""

    found: WhatIf
    span: Span
    names: Names


class WhatIfs:
    """Computes what a limit would have done with past calls.

    `calendar` has the time zone in which the dates of a query are read. `timer` returns a time in seconds.
    """

    def __init__(
        self,
        database: Database,
        calendar: Calendar,
        clock: Clock,
        random_ids: RandomIds,
        timer: Callable[[], float],
    ) -> None:
        self._database = database
        self._calendar = calendar
        self._clock = clock
        self._random_ids = random_ids
        self._timer = timer

    def ask(self, draft: LimitDraft, since: Moment | None, until: Moment | None) -> WhatIfAnswer:
        """Return what a limit would have done with the calls of a time span.

        The limit is treated as if it had been created at the start of the span. If every call of the span is still
        stored, the calls are replayed. Otherwise bounds are computed from the buckets. Raises InvalidRequest,
        Unavailable.
        """
        now = self._clock()
        span = span_of(since, until, self._calendar, now, now - now % SECOND + SECOND)
        with self._database.read() as connection:
            inherited = is_aligned_by_key(connection, draft)
            if calls.calls_since(connection) > span.start:
                span = Span(bucket_of(span.start), span.end + -span.end % BUCKET)
                found = _from_buckets(connection, self._limit(draft, span.start, inherited=inherited), span)
                return WhatIfAnswer(found, span, _names(connection, found))
        found = self._from_calls(self._limit(draft, span.start, inherited=inherited), span)
        with self._database.read() as connection:
            return WhatIfAnswer(found, span, _names(connection, found))

    def _limit(self, draft: LimitDraft, since: int, *, inherited: bool) -> Limit:
        """Build the limit of a draft as if it had been created at the time `since`. Raises InvalidRequest."""
        return created(draft, inherited=inherited, now=since, new_id=self._random_ids.new_id)

    def _from_calls(self, limit: Limit, span: Span) -> WhatIf:
        ends_at = self._timer() + MOST_SECONDS
        replay, last, count = Replay(limit), Place(span.start, -1), PART
        while count == PART:
            with self._database.read() as connection:
                some = calls.part(connection, limit, last, span.end, PART)
            for number, each in enumerate(some):
                replay.add(each)
                if number % BETWEEN == 0:
                    yield_gil()
            if self._timer() > ends_at:
                raise InvalidRequest(TOO_LONG, param="since")
            count = len(some)
            last = Place(some[-1].admitted_at, some[-1].seq) if some else last
        return replay.result()


def _from_buckets(connection: Connection, limit: Limit, span: Span) -> WhatIf:
    kept_since = reading.buckets_since(connection)
    if span.start < kept_since:
        raise _unavailable(NOT_KEPT, kept_since)
    if any(rule.duration.length < BUCKET for rule in limit.rules):
        raise _unavailable(TOO_FINE, calls.calls_since(connection))
    found, refusing = bounds(limit, calls.buckets(connection, limit, span))
    if not refusing:
        return found
    members = calls.possibly_refused(connection, limit, span, refusing, MOST_REFUSED)
    return found._replace(refused_by={group: bounded_group(found.refused, *own) for group, own in members.items()})


def _names(connection: Connection, found: WhatIf) -> Names:
    members = {group: [row.value for row in refused.top] for group, refused in found.refused_by.items()}
    return names.of_members(connection, members)


def _unavailable(sentence: str, since: int) -> InvalidRequest:
    return InvalidRequest(sentence.format(rfc3339(since)), param="since", code=Code.RESOLUTION_UNAVAILABLE)
