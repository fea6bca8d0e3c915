"""All that is in the database, as plain values: read without a lock, never changed, replaced whole."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from governance.domain.changes import Changes, Mark
from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits import Limit, Scoped
from governance.domain.names import Identity
from governance.memory.orders import KEYS, Orders

ScopeKey = tuple[str, str]
Key = TypeVar("Key")
Value = TypeVar("Value")
KeyValue = TypeVar("KeyValue", ApiKey, VirtualKey)


class Snapshot(NamedTuple):
    """The state of the database at a mark.

    `entries` are the limits by id, `names` the scope names by (scope, scope_id), `used` the limits with a counter
    that is not zero, `identities` the limits by theirs, `api_keys` and `virtual_keys` the keys by id; `digests` and
    `values` are the same by the digest of their secret.
    """

    mark: Mark
    entries: dict[str, Scoped]
    names: Mapping[ScopeKey, str]
    used: frozenset[str]
    orders: Orders
    api_keys: Mapping[str, ApiKey]
    digests: Mapping[str, ApiKey]
    virtual_keys: Mapping[str, VirtualKey]
    values: Mapping[str, VirtualKey]
    identities: dict[Identity, str]


def first(changes: Changes) -> Snapshot:
    """The snapshot of all there is."""
    names = {scope: name for scope, name in changes.names.items() if name is not None}
    entries = {
        limit_id: Scoped(limit, counters, names.get(_scope(limit)))
        for limit_id, (limit, counters) in changes.limits.items()
    }
    keys = {key_id: key for key_id, key in changes.api_keys.items() if key is not None}
    used = frozenset(limit_id for limit_id, entry in entries.items() if _is_used(entry))
    virtual_keys = {key_id: key for key_id, key in changes.virtual_keys.items() if key is not None}
    return Snapshot(
        mark=changes.mark,
        entries=entries,
        names=names,
        used=used,
        orders=Orders.of(entries),
        api_keys=keys,
        digests=_by_digest(keys),
        virtual_keys=virtual_keys,
        values=_by_digest(virtual_keys),
        identities={_identity(entry.limit): limit_id for limit_id, entry in entries.items()},
    )


def moved(before: Snapshot, changes: Changes) -> Snapshot:
    """The snapshot after changes: the one before where nothing did; what did not change is shared with it."""
    if changes.whole:
        return first(changes)
    names = _merged(before.names, changes.names)
    entries = _entries(before, changes, names)
    keys = _merged(before.api_keys, changes.api_keys)
    after = before._replace(mark=changes.mark, entries=entries, names=names)
    if entries is not before.entries:
        after = _reordered(before, after, {*changes.gone, *changes.limits})
    if keys is not before.api_keys:
        after = after._replace(api_keys=keys, digests=_by_digest(keys))
    virtual_keys = _merged(before.virtual_keys, changes.virtual_keys)
    if virtual_keys is not before.virtual_keys:
        after = after._replace(virtual_keys=virtual_keys, values=_by_digest(virtual_keys))
    return before if after == before else after


def _entries(before: Snapshot, changes: Changes, names: Mapping[ScopeKey, str]) -> dict[str, Scoped]:
    """The entries after changes: the very same mapping where nothing that is shown has changed."""
    gone = {limit_id for limit_id in changes.gone if limit_id in before.entries and limit_id not in changes.limits}
    news: dict[str, Scoped] = {}
    for limit_id, (limit, counters) in changes.limits.items():
        known, entry = before.entries.get(limit_id), Scoped(limit, counters, names.get(_scope(limit)))
        if known != entry:
            same = known is not None and known.limit == limit
            news[limit_id] = entry._replace(limit=known.limit) if same and known else entry
    renamed = {scope for scope in changes.names if names.get(scope) != before.names.get(scope)}
    if renamed:
        for limit_id, entry in before.entries.items():
            if _scope(entry.limit) in renamed and limit_id not in gone and limit_id not in changes.limits:
                news[limit_id] = entry._replace(scope_name=names.get(_scope(entry.limit)))
    return _replaced(before.entries, gone, news) if news or gone else before.entries


def _replaced(known: dict[Key, Value], gone: Iterable[Key], news: Mapping[Key, Value]) -> dict[Key, Value]:
    """Known values without those that are gone, and with the new ones.

    `copy` is fast also where something was deleted before; `{**known}` would then go key by key, in one call of 10 ms
    at 100,000 keys, in which no other thread can run.
    """
    made = known.copy()
    for key in gone:
        made.pop(key, None)
    made.update(news)
    return made


def _reordered(before: Snapshot, after: Snapshot, touched: Iterable[str]) -> Snapshot:
    """The snapshot with its orders and its set of used limits brought after its entries."""
    added, removed, used = [], [], set(before.used)
    for limit_id in touched:
        old, new = before.entries.get(limit_id), after.entries.get(limit_id)
        if _place(old) != _place(new):
            removed += [old.limit] if old else []
            added += [new.limit] if new else []
        (used.add if new and _is_used(new) else used.discard)(limit_id)
    orders = before.orders.moved(after.entries, added, removed)
    same = used == before.used
    identities = _reindexed(before.identities, added, removed)
    return after._replace(orders=orders, used=before.used if same else frozenset(used), identities=identities)


def _reindexed(index: dict[Identity, str], added: list[Limit], removed: list[Limit]) -> dict[Identity, str]:
    if not added and not removed:
        return index
    gone = {_identity(limit) for limit in removed}
    return _replaced(index, gone, {_identity(limit): limit.id for limit in added})


def _identity(limit: Limit) -> Identity:
    return Identity.of(limit.scope, limit.scope_id, limit.provider, limit.model_name)


def _place(entry: Scoped | None) -> object:
    """What decides where a limit stands: in every order, under every filter, in the index by identity."""
    return entry and (_identity(entry.limit), entry.limit.provider, *(key(entry.limit) for key in KEYS.values()))


def _scope(limit: Limit) -> ScopeKey:
    return limit.scope, limit.scope_id or ""


def _is_used(entry: Scoped) -> bool:
    return any(counter is not None and counter.used > 0 for counter in entry.counters)


def _merged(known: Mapping[Key, Value], changes: Mapping[Key, Value | None]) -> Mapping[Key, Value]:
    """Known values with some changed, or (None) gone; the very same mapping where nothing changed."""
    if all(known.get(key) == value for key, value in changes.items()):
        return known
    merged = {**known, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def _by_digest(keys: Mapping[str, KeyValue]) -> dict[str, KeyValue]:
    return {key.digest: key for key in keys.values()}
