"""Reads overviews for an operator: limits with their usage, the rules closest to their maximum, and refused calls.

A rule sets a maximum of dollars, tokens or requests in a time window.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, NotFound
from governance.domain.installation import PROGRAM
from governance.domain.limits import durations
from governance.domain.limits.limit import LimitState, current
from governance.domain.metering.decision import MatchedRule, RuleStatus
from governance.domain.metering.denial_counts import Denials
from governance.domain.records.list_query import ListQuery
from governance.domain.times import Clock, rfc3339
from governance.storage.limits import lists, states, usage, writes
from governance.storage.metering import denial_counts
from governance.storage.store import Database

UNKNOWN = f"Give the id or the model of a limit that exists: '{{}}' is neither ({PROGRAM} limits list shows them)."
MOST = 100
"""At most this many limits on one model are shown."""


class LimitsOverview(NamedTuple):
    """A page of limits as they are at `now` (microseconds), and the number of all matching limits (`total`).

    `denials` contains, by limit id, how many calls a limit refused and when it last refused one.
    """

    limits: Sequence[LimitState]
    total: int
    denials: Mapping[str, Denials]
    now: int


class UsageOverview(NamedTuple):
    """The rules closest to their maximum at the time `now` (microseconds), the closest first.

    `rules` is the number of all stored rules. `full` is the number of rules that have nothing left. `denials` contains,
    by limit id, how many calls a limit refused and when it last refused one.
    """

    statuses: Sequence[RuleStatus]
    rules: int
    full: int
    denials: Mapping[str, Denials]
    now: int


class Overview:
    """Reads limits and usage from the database, so the figures are exact, and no copy in memory is needed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, query: ListQuery) -> LimitsOverview:
        """Return a page of limits: the same limits as in the list over HTTP."""
        with self._database.read() as connection:
            now = self._clock()
            total = lists.count(connection, query.filter)
            found = lists.limits(connection, query, total, now)
            return LimitsOverview(found, total, _denials(connection, found), now)

    def named(self, word: str) -> LimitsOverview:
        """Return the limit whose id is `word`, or else the newest 100 limits on the model `word`. Raises NotFound."""
        with self._database.read() as connection:
            found = list(states.by_ids(connection, [word]).values())
            ids = [] if found else writes.ids_of_model(connection, word)
            known = states.by_ids(connection, ids[:MOST])
            found += [known[limit_id] for limit_id in ids[:MOST]]
            if not found:
                raise NotFound(UNKNOWN.format(word), code=Code.MODEL_CONFIG_NOT_FOUND)
            return LimitsOverview(found, max(len(ids), len(found)), _denials(connection, found), self._clock())

    def nearest(self, most: int) -> UsageOverview:
        """Return up to `most` rules that have used or reserved amounts in their current windows, the closest first."""
        with self._database.read() as connection:
            now = self._clock()
            found = usage.nearest(connection, most, now)
            known = states.by_ids(connection, sorted({limit_id for limit_id, *_ in found.places}))
            status = {
                (each.matched.limit.id, *each.matched.rule.key): each
                for entry in known.values()
                for each in statuses(entry, now)
            }
            shown = [status[place] for place in found.places]
            return UsageOverview(shown, found.rules, found.full, _denials(connection, known.values()), now)

    def instant(self, text: str | None) -> str | None:
        """Return the present time plus a duration, as RFC 3339 text.

        If `text` is not a duration, return it unchanged, so that a schema can parse it as a time.
        """
        try:
            return text and rfc3339(self._clock() + durations.parse(text).length)
        except ValueError:
            return text


def statuses(entry: LimitState, now: int) -> list[RuleStatus]:
    """Return the status of every rule of a limit in its current window, with a requested amount of 0."""
    limit, counters, scope_name = entry
    return [
        RuleStatus(MatchedRule(rule, limit, scope_name, (0, 0)), current(rule, limit.alignment, counter, now), 0)
        for rule, counter in zip(limit.rules, counters, strict=True)
    ]


def _denials(connection: Connection, found: Iterable[LimitState]) -> dict[str, Denials]:
    return denial_counts.of_limits(connection, [entry.limit.id for entry in found])
