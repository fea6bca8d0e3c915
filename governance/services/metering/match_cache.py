"""Matches calls: finds the virtual key of a call and the rules that apply to the call, and caches the results.

A rule sets a maximum of dollars, tokens or requests in a time window. The snapshot is this worker's copy of the
database in memory. The config revision is a number that each edit of limits, keys, users or prices raises by 1. The
snapshot contains the config revision at which it was read.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from governance.domain import keys
from governance.domain.errors import Code
from governance.domain.keys import VirtualKey
from governance.domain.metering import matching
from governance.domain.metering.decision import KeyRefusal, MatchedRule, in_order
from governance.domain.metering.request import Call, ReservationRequest
from governance.domain.names import spelled
from governance.domain.pricing.overrides import prices_of
from governance.domain.pricing.schedule import Schedule
from governance.services.pricing.price_list import PriceList
from governance.snapshot.cache import SnapshotCache
from governance.snapshot.snapshot import Snapshot

MOST = 4096
"""If the cache of matched calls contains more entries than this, it is emptied."""
UNKNOWN = "Use a virtual key that exists: this one is unknown."
IS_API_KEY = "Send a virtual key: this is an API key of this service, which no client may have."
IS_AN_ID = "Send this as virtual_key_id: it is the id of a virtual key, and virtual_key takes its value."


class MatchedCall(NamedTuple):
    """A call, the rules that apply to it, and the prices of its model, as they are at the config revision `revision`.

    If the call's virtual key does not exist, `unknown` is the refusal.
    """

    revision: int
    call: Call
    key: VirtualKey | None
    unknown: KeyRefusal | None
    rules: tuple[MatchedRule, ...]
    prices: Schedule


class KnownCalls(NamedTuple):
    """The calls that were matched so far.

    They are valid as long as the values in `at` stay the same: the database file, the config revision, and whether the
    price list has finished loading.
    """

    at: object
    matched: dict[tuple[Call, str | None], MatchedCall]


class Matcher:
    """Matches calls against the current snapshot. Gateways repeat the same few calls, so the results are cached."""

    def __init__(self, cache: SnapshotCache, price_list: PriceList) -> None:
        self._cache = cache
        self._price_list = price_list
        self._known = KnownCalls(None, {})

    def match(self, request: ReservationRequest) -> MatchedCall:
        """Return the rules that apply, the most specific first.

        This method refuses no call, because the snapshot may be older than the database. The result depends on the
        config revision, not on usage. If the call needs a price that may be in the price list, and the list is still
        being loaded, wait for the list. Raises Unavailable.
        """
        found = self._found(request)
        if request.amounts.needs_price and not found.prices.prices and not found.prices.is_final:
            self._price_list.wait()
            found = self._found(request)
        return found

    def schedules(self) -> Callable[[str, str | None], Schedule]:
        """Return a function that finds the prices of (model, provider) in the current snapshot and in the list.

        The list is loaded before this function returns, so the returned function never waits. Raises Unavailable.
        """
        self._price_list.wait()
        return partial(_schedule, self._cache.get().snapshot, self._price_list)

    def _found(self, request: ReservationRequest) -> MatchedCall:
        snapshot, known = self._cache.get().snapshot, self._known
        at = (snapshot.mark.file, snapshot.mark.revision, self._price_list.is_final)
        if known.at != at or len(known.matched) > MOST:
            known = self._known = KnownCalls(at, {})
        asked = (request.call, None if request.virtual_key is None else keys.digest(request.virtual_key))
        found = known.matched.get(asked)
        if found is None:
            prices = _schedule(snapshot, self._price_list, request.call.model, request.call.provider)
            found = known.matched[asked] = _matched(snapshot, request, *asked, prices)
        return found


def _schedule(snapshot: Snapshot, price_list: PriceList, model: str, provider: str | None) -> Schedule:
    is_final = price_list.is_final
    return Schedule(prices_of(spelled(model, provider), snapshot.overrides, price_list.prices), is_final)


def _matched(
    snapshot: Snapshot, request: ReservationRequest, call: Call, value: str | None, prices: Schedule
) -> MatchedCall:
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
    return MatchedCall(snapshot.mark.revision, call, key, unknown, in_order(rules), prices)


def _unknown(value: str | None, snapshot: Snapshot) -> KeyRefusal:
    """Build the refusal for an unknown virtual key.

    If the caller sent the id of a virtual key instead of its value, or an API key, the message says so.
    """
    message = IS_AN_ID if value in snapshot.virtual_keys else UNKNOWN
    if value is not None and value.startswith(keys.API_KEY_PREFIX):
        message = IS_API_KEY
    param = "virtual_key_id" if value is None else "virtual_key"
    return KeyRefusal(message, Code.VIRTUAL_KEY_UNKNOWN, param)
