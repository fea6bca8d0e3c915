"""The snapshot: a worker's copy of the database in memory, as immutable values.

Readers need no lock, because a refresh replaces the whole snapshot.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits.limit import Limit, LimitState
from governance.domain.names import Identity
from governance.domain.pricing.overrides import ModelKey, PriceOverride, by_model
from governance.domain.records.changes import Changes, Mark
from governance.snapshot.orders import Orders
from governance.snapshot.persistent_map import PersistentMap
from governance.snapshot.unmatched_limits import RelatedLimits

ScopeKey = tuple[str, str]
Key = TypeVar("Key")
Value = TypeVar("Value")
KeyValue = TypeVar("KeyValue", ApiKey, VirtualKey)


class Snapshot(NamedTuple):
    """The state of the database. `mark` identifies this state.

    `entries` contains the limits by id. `names` contains the names of virtual keys and users by (scope, scope_id).
    `orders` contains the sorted ids of the limits. `api_keys` and `virtual_keys` contain the keys by id. `digests` and
    `values` contain the same keys by the digest of their secret. The identity of a limit is its scope, scope id,
    provider and model. No two limits have the same identity. `identities` contains the ids of the limits by identity.
    `related` contains the identities sorted by provider and by model. `prices` contains the price overrides by id.
    `overrides` contains the same overrides by model, sorted by start, the latest first.
    """

    mark: Mark
    entries: PersistentMap[str, LimitState]
    names: PersistentMap[ScopeKey, str]
    orders: Orders
    api_keys: PersistentMap[str, ApiKey]
    digests: PersistentMap[str, ApiKey]
    virtual_keys: PersistentMap[str, VirtualKey]
    values: PersistentMap[str, VirtualKey]
    identities: PersistentMap[Identity, str]
    related: RelatedLimits
    prices: PersistentMap[str, PriceOverride]
    overrides: Mapping[ModelKey, Sequence[PriceOverride]]


def first(changes: Changes) -> Snapshot:
    """Build the first snapshot from all rows."""
    names = PersistentMap(_there(changes.names))
    entries = PersistentMap(
        (limit_id, LimitState(limit, counters, names.get(_scope(limit))))
        for limit_id, (limit, counters) in changes.limits.items()
    )
    identities = PersistentMap((entry.limit.identity, limit_id) for limit_id, entry in entries.items())
    keys, virtual_keys = PersistentMap(_there(changes.api_keys)), PersistentMap(_there(changes.virtual_keys))
    prices = PersistentMap(_there(changes.prices))
    return Snapshot(
        mark=changes.mark,
        entries=entries,
        names=names,
        orders=Orders.of(entries),
        api_keys=keys,
        digests=PersistentMap((key.digest, key) for key in keys.values()),
        virtual_keys=virtual_keys,
        values=PersistentMap((key.digest, key) for key in virtual_keys.values()),
        identities=identities,
        related=RelatedLimits.of(identities),
        prices=prices,
        overrides=by_model(prices.values()),
    )


def moved(before: Snapshot, changes: Changes) -> Snapshot:
    """Return the snapshot after changes. Without changes, return the same snapshot. Unchanged parts are not copied."""
    if changes.whole:
        return first(changes)
    names = _merged(before.names, changes.names) if changes.names else before.names
    entries = _entries(before, changes, names)
    after = before._replace(mark=changes.mark, entries=entries, names=names)
    if changes.api_keys:
        after = after._replace(
            api_keys=_merged(before.api_keys, changes.api_keys),
            digests=_by_digest(before.digests, before.api_keys, changes.api_keys),
        )
    if changes.virtual_keys:
        after = after._replace(
            virtual_keys=_merged(before.virtual_keys, changes.virtual_keys),
            values=_by_digest(before.values, before.virtual_keys, changes.virtual_keys),
        )
    if changes.prices:
        prices = _merged(before.prices, changes.prices)
        after = after._replace(prices=prices, overrides=by_model(prices.values()))
    if entries is not before.entries:
        after = _reordered(before, after, {*changes.gone, *changes.limits})
    return before if after == before else after


def _entries(before: Snapshot, changes: Changes, names: PersistentMap[ScopeKey, str]) -> PersistentMap[str, LimitState]:
    """Return the limits by id after changes. If no limit changed, return the same mapping."""
    gone = {limit_id for limit_id in changes.gone if limit_id in before.entries and limit_id not in changes.limits}
    news: dict[str, LimitState] = {}
    for limit_id, (limit, counters) in changes.limits.items():
        known, entry = before.entries.get(limit_id), LimitState(limit, counters, names.get(_scope(limit)))
        if known != entry:
            same = known is not None and known.limit == limit
            news[limit_id] = entry._replace(limit=known.limit) if same and known else entry
    renamed = {scope for scope in changes.names if names.get(scope) != before.names.get(scope)}
    if renamed:
        for limit_id, entry in before.entries.items():
            if _scope(entry.limit) in renamed and limit_id not in gone and limit_id not in changes.limits:
                news[limit_id] = entry._replace(scope_name=names.get(_scope(entry.limit)))
    return before.entries.replaced(gone, news) if news or gone else before.entries


def _reordered(before: Snapshot, after: Snapshot, touched: Iterable[str]) -> Snapshot:
    """Return the snapshot with new orders and indexes that match its limits."""
    added, removed = [], []
    for limit_id in touched:
        old, new = before.entries.get(limit_id), after.entries.get(limit_id)
        if old and new and _place(old.limit) == _place(new.limit):
            continue
        removed += [old.limit] if old else []
        added += [new.limit] if new else []
    after = after._replace(orders=before.orders.moved(after.entries, added, removed))
    if not added and not removed:
        return after
    came, went = {limit.identity: limit.id for limit in added}, [limit.identity for limit in removed]
    return after._replace(identities=before.identities.replaced(went, came), related=before.related.moved(came, went))


def _place(limit: Limit) -> tuple[object, ...]:
    """Return the fields that determine the position of a limit in orders, filters and indexes."""
    return limit.scope, limit.scope_id, limit.provider, limit.model_name, limit.search_name, limit.created_at


def _scope(limit: Limit) -> ScopeKey:
    return limit.scope, limit.scope_id or ""


def _there(changes: Mapping[Key, Value | None]) -> Iterator[tuple[Key, Value]]:
    return ((key, value) for key, value in changes.items() if value is not None)


def _merged(known: PersistentMap[Key, Value], changes: Mapping[Key, Value | None]) -> PersistentMap[Key, Value]:
    """Return the values after changes.

    Without changes, return the same mapping. If `changes` contains None for a key, the key is removed.
    """
    if all(known.get(key) == value for key, value in changes.items()):
        return known
    return known.replaced((key for key, value in changes.items() if value is None), dict(_there(changes)))


def _by_digest(
    index: PersistentMap[str, KeyValue], known: PersistentMap[str, KeyValue], changes: Mapping[str, KeyValue | None]
) -> PersistentMap[str, KeyValue]:
    """Return the keys by digest after changes. If a key gets a new digest, its old digest is removed."""
    old = {key_id: known.get(key_id) for key_id in changes}
    if old == changes:
        return index
    gone = (key.digest for _, key in _there(old))
    return index.replaced(gone, {key.digest: key for _, key in _there(changes)})
