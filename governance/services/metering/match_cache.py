"""Matches a call against a snapshot: finds its virtual key and the rules that apply, and caches the result."""

from typing import NamedTuple

from governance.domain import keys
from governance.domain.errors import Code
from governance.domain.keys import VirtualKey
from governance.domain.metering import matching
from governance.domain.metering.decision import KeyRefusal, MatchedRule, in_order
from governance.domain.metering.request import Call, ReservationRequest
from governance.snapshot.cache import SnapshotCache
from governance.snapshot.snapshot import Snapshot

MOST = 4096
"""Entries in the cache of matched calls. A larger cache is emptied."""
UNKNOWN = "Use a virtual key that exists: this one is unknown."
IS_AN_ID = "Send this as virtual_key_id: it is the id of a virtual key, and virtual_key takes its value."


class MatchedCall(NamedTuple):
    """A call and its rules at a config revision; `unknown` is the refusal if its virtual key does not exist."""

    revision: int
    call: Call
    key: VirtualKey | None
    unknown: KeyRefusal | None
    rules: tuple[MatchedRule, ...]


class KnownCalls(NamedTuple):
    """The calls matched so far at one config revision."""

    at: object
    matched: dict[tuple[Call, str | None], MatchedCall]


class Matcher:
    """Matches calls against the current snapshot. A gateway repeats the same few calls, so the results are cached."""

    def __init__(self, cache: SnapshotCache) -> None:
        self._cache = cache
        self._known = KnownCalls(None, {})

    def match(self, request: ReservationRequest) -> MatchedCall:
        """Return the rules that apply, the most specific first.

        Refuses no call, since the snapshot may be older than the database. The result depends on the config revision,
        not on usage.
        """
        snapshot, known = self._cache.get().snapshot, self._known
        at = (snapshot.mark.file, snapshot.mark.revision)
        if known.at != at or len(known.matched) > MOST:
            known = self._known = KnownCalls(at, {})
        asked = (request.call, None if request.virtual_key is None else keys.digest(request.virtual_key))
        found = known.matched.get(asked)
        if found is None:
            found = known.matched[asked] = _matched(snapshot, request, *asked)
        return found


def _matched(snapshot: Snapshot, request: ReservationRequest, call: Call, value: str | None) -> MatchedCall:
    key = None
    if value is not None:
        key = snapshot.values.get(value)
        call = call._replace(virtual_key_id=key.id if key else None)
    elif call.virtual_key_id is not None:
        key = snapshot.virtual_keys.get(call.virtual_key_id)
    named = value is not None or call.virtual_key_id is not None
    unknown = _unknown(request.virtual_key, snapshot) if named and key is None else None
    rules = []
    for match in matching.matches(call, snapshot.identities):
        limit, _, scope_name = snapshot.entries[match.limit_id]
        rules += [MatchedRule(rule, limit, scope_name, match.rank) for rule in limit.rules]
    return MatchedCall(snapshot.mark.revision, call, key, unknown, in_order(rules))


def _unknown(value: str | None, snapshot: Snapshot) -> KeyRefusal:
    """Return the refusal of an unknown virtual key. The message says if the caller sent an id in place of the value."""
    message = IS_AN_ID if value in snapshot.virtual_keys else UNKNOWN
    param = "virtual_key_id" if value is None else "virtual_key"
    return KeyRefusal(message, Code.VIRTUAL_KEY_UNKNOWN, param)
