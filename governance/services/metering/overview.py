"""What an operator looks at: limits with what is used of them, what is nearest to its cap, who was refused."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, NotFound
from governance.domain.limits import durations
from governance.domain.limits.limit import LimitState, current
from governance.domain.metering.decision import MatchedRule, RuleStatus
from governance.domain.metering.denial_counts import Denials
from governance.domain.records.list_query import ListQuery
from governance.domain.times import Clock, rfc3339
from governance.storage.limits import lists, states, usage, writes
from governance.storage.metering import denial_counts
from governance.storage.store import Database

UNKNOWN = "Give the id or the model of a limit that exists: '{}' is neither (flask governance limits list shows them)."
MOST = 100
"""How many limits on one model are shown."""


class LimitsOverview(NamedTuple):
    """Limits as they were at an instant, how many there are in all, and how often each refused a call."""

    limits: Sequence[LimitState]
    total: int
    denials: Mapping[str, Denials]
    now: int


class UsageOverview(NamedTuple):
    """The rules nearest to their cap, the nearest first, at an instant; all rules there are, and those used up."""

    statuses: Sequence[RuleStatus]
    rules: int
    full: int
    denials: Mapping[str, Denials]
    now: int


class Overview:
    """Reads straight from the database: exact, and without a memory that nobody else would use."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, query: ListQuery) -> LimitsOverview:
        """A page of limits, as the HTTP list has it."""
        with self._database.read() as connection:
            now = self._clock()
            found = lists.limits(connection, query, now)
            total = lists.count(connection, query.filter)
            return LimitsOverview(found, total, _denials(connection, found), now)

    def named(self, word: str) -> LimitsOverview:
        """The limit of an id, or those on a model: the newest hundred. Raises NotFound."""
        with self._database.read() as connection:
            found = list(states.by_ids(connection, [word]).values())
            ids = [] if found else writes.ids_of_model(connection, word)
            known = states.by_ids(connection, ids[:MOST])
            found += [known[limit_id] for limit_id in ids[:MOST]]
            if not found:
                raise NotFound(UNKNOWN.format(word), code=Code.MODEL_CONFIG_NOT_FOUND)
            return LimitsOverview(found, max(len(ids), len(found)), _denials(connection, found), self._clock())

    def nearest(self, most: int) -> UsageOverview:
        """Up to `most` rules of which something is used or reserved now."""
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
        """A duration as the time when it will have passed; other text as it is, for a schema to read."""
        try:
            return text and rfc3339(self._clock() + durations.parse(text).length)
        except ValueError:
            return text


def statuses(entry: LimitState, now: int) -> list[RuleStatus]:
    """Every rule of a limit in its current window; nothing is asked of it."""
    limit, counters, scope_name = entry
    return [
        RuleStatus(MatchedRule(rule, limit, scope_name, (0, 0)), current(rule, limit.alignment, counter, now), 0)
        for rule, counter in zip(limit.rules, counters, strict=True)
    ]


def _denials(connection: Connection, found: Iterable[LimitState]) -> dict[str, Denials]:
    return denial_counts.of_limits(connection, [entry.limit.id for entry in found])
