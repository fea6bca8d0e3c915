"""Checks a call: returns the decision that a reservation would get, and why other limits do not apply.

Nothing is written. The config revision is a number that each edit of limits, keys, users or prices raises by 1. The
snapshot is this worker's copy of the database in memory.
"""

from governance.domain.errors import Unavailable
from governance.domain.limits.limit import Counter, current
from governance.domain.metering import matching
from governance.domain.metering.decision import Decision, decide, key_refusal
from governance.domain.metering.matching import UnmatchedLimit, UnmatchedLimits
from governance.domain.metering.priced import priced
from governance.domain.metering.request import ReservationRequest
from governance.domain.names import spelled
from governance.services.metering.match_cache import MatchedCall, Matcher
from governance.services.metering.reserve_and_report import ATTEMPTS, CHANGING, has_budget
from governance.snapshot.cache import SnapshotCache
from governance.storage import revisions
from governance.storage.limits import states
from governance.storage.store import Database, MeteringStore

MOST_UNMATCHED = 20


class Check:
    """Decides with the counters in the database, and writes nothing."""

    def __init__(
        self,
        database: Database,
        store: MeteringStore,
        cache: SnapshotCache,
        matcher: Matcher,
        *,
        refuses_unpriced: bool,
    ) -> None:
        self._database = database
        self._store = store
        self._cache = cache
        self._matcher = matcher
        self._refuses_unpriced = refuses_unpriced

    def __call__(self, request: ReservationRequest) -> Decision:
        """Return the decision that a reservation would get now, with the rules in the database. Raises Unavailable."""
        until = self._store.deadline()
        for _ in range(ATTEMPTS):
            matched = self._matcher.match(request)
            found = self._look(request, matched)
            if found is not None:
                return found
            self._cache.refresh(until)
        raise Unavailable(CHANGING)

    def _look(self, request: ReservationRequest, matched: MatchedCall) -> Decision | None:
        """Return the decision. Return None if the config revision has changed since the call was matched."""
        with self._database.read() as connection:
            if revisions.current(connection) != matched.revision:
                return None
            now = self._store.clock()
            stored = states.by_ids(connection, sorted({each.limit.id for each in matched.rules}))
        newest: dict[object, Counter | None] = {
            rule.key: counter
            for entry in stored.values()
            for rule, counter in zip(entry.limit.rules, entry.counters, strict=True)
        }
        windows = [current(each.rule, each.limit.alignment, newest.get(each.rule.key), now) for each in matched.rules]
        refusal = matched.unknown if matched.key is None else key_refusal(matched.key, now)
        asked = priced(request.amounts, matched.prices.at(now))
        return Decision(
            matched.call,
            now,
            *decide(matched.rules, windows, asked.amounts),
            key_refusal=refusal,
            priced=asked,
            is_unpriced=asked.is_unknown and self._refuses_unpriced and has_budget(matched.rules),
        )

    def unmatched(self, decision: Decision) -> UnmatchedLimits:
        """Return the limits on the call's model or provider that do not apply to the call, with the reasons.

        At most `MOST_UNMATCHED` limits are returned. They are sorted by provider, model, scope and scope id.
        """
        snapshot, call = self._cache.get().snapshot, decision.call
        provider, model = spelled(call.model, call.provider)
        ids = {status.matched.limit.id for status in decision.statuses}
        ids |= {match.limit_id for match in matching.matches(call, snapshot.identities)}
        applied = {snapshot.entries[limit_id].limit.identity for limit_id in ids if limit_id in snapshot.entries}
        models = {model, f"{provider}/{model}"}
        total, found = snapshot.related.find(provider, models, without=applied, most=MOST_UNMATCHED)
        limits = [
            UnmatchedLimit(snapshot.entries[snapshot.identities[identity]].limit, matching.reason(call, identity))
            for identity in found
        ]
        return UnmatchedLimits(total, limits)
