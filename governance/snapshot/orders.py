"""Keeps the ids of limits sorted in each order in which a client can request the list of limits.

An order is a sorted list of ids. When all limits are loaded, they are sorted once in each order. After that, only
single ids are inserted and removed. When a filter is first requested, the ids that match are selected from an order.
The result is a new order, which is cached and updated too. So a page takes the same time at any offset.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

from cachetools import LRUCache

from governance.domain.limits.limit import Limit, LimitState
from governance.domain.records.list_query import Filter
from governance.snapshot.persistent_map import PersistentMap

Entries = PersistentMap[str, LimitState]
Kind = tuple[Filter, str]

KEYS: dict[str, Callable[[Limit], Any]] = {
    "created_at": lambda limit: (limit.created_at, limit.id),
    "model_name": lambda limit: (limit.search_name, limit.id),
    "id": lambda limit: limit.id,
}
EVERYTHING = Filter()
KEPT = 2_000_000
"""The largest number of ids in all cached orders together. The references to these ids occupy 16 MB."""
PIECE = 64
"""The number of names that are joined to one text and searched together.

Compared with a search in each single name, this is five times as fast if few names contain the searched text, and 10 %
slower if most names contain it.
"""


class Names:
    """The ids of limits with their names, in chunks that can be searched quickly."""

    def __init__(self, ids: Sequence[str], names: Sequence[str]) -> None:
        starts = range(0, len(ids), PIECE)
        self._pieces = [(ids[at : at + PIECE], names[at : at + PIECE]) for at in starts]
        self._joined = ["\n".join(names) for _, names in self._pieces]
        self._length = len(ids)

    def __len__(self) -> int:
        return self._length

    def with_text(self, text: str) -> list[str]:
        """Return the ids of the names that contain a text, in the order of the names."""
        found: list[str] = []
        for joined, (ids, names) in zip(self._joined, self._pieces, strict=True):
            if text in joined:
                found += [limit_id for limit_id, name in zip(ids, names, strict=True) if text in name]
        return found


class Orders:
    """The orders of the limits in one snapshot, which is a worker's copy of the database in memory.

    All orders are ascending. An order is never changed.
    """

    def __init__(
        self,
        entries: Entries,
        whole: dict[str, list[str]],
        filtered: Iterable[tuple[Kind, list[str]]] = (),
        names: Iterable[tuple[Kind, Names]] = (),
    ) -> None:
        self._entries = entries
        self._whole = whole
        self._filtered: LRUCache[Kind, list[str]] = LRUCache(KEPT, len)
        self._names: LRUCache[Kind, Names] = LRUCache(KEPT, len)
        self._lock = Lock()
        with suppress(ValueError):  # limits were added, so the longest orders may no longer fit
            self._filtered.update(filtered)
        with suppress(ValueError):
            self._names.update(names)

    @classmethod
    def of(cls, entries: Entries) -> "Orders":
        """Sort all limits in each order. This is done only when all limits are loaded."""
        limits = [entry.limit for entry in entries.values()]
        return cls(entries, {name: [limit.id for limit in sorted(limits, key=key)] for name, key in KEYS.items()})

    def ids(self, wanted: Filter, sort_by: str) -> list[str]:
        """Return the ids of the limits that match the filter, in ascending order of the key `sort_by` in `KEYS`.

        The caller must not change the list.
        """
        if wanted == EVERYTHING:
            return self._whole[sort_by]
        with self._lock:
            kept = self._filtered.get((wanted, sort_by))
        if kept is None:
            kept = self._searched(wanted, sort_by) if wanted.search else self._passing(wanted, sort_by)
            with self._lock, suppress(ValueError):  # a list longer than the whole cache is not cached
                self._filtered[wanted, sort_by] = kept
        return kept

    def _passing(self, wanted: Filter, sort_by: str) -> list[str]:
        ids, passes = self._whole[sort_by], wanted.passes
        return [limit_id for limit_id, entry in zip(ids, self._entries.of(ids), strict=True) if passes(entry.limit)]

    def _searched(self, wanted: Filter, sort_by: str) -> list[str]:
        """Return the ids of the limits that match the filter and whose names contain the text to search for."""
        others = wanted._replace(search="")
        ids = self.ids(others, sort_by)
        with self._lock:
            names = self._names.get((others, sort_by))
        if names is None:
            names = Names(ids, [entry.limit.search_name for entry in self._entries.of(ids)])
            with self._lock, suppress(ValueError):
                self._names[others, sort_by] = names
        return names.with_text(wanted.search)

    def moved(self, entries: Entries, added: Iterable[Limit], removed: Iterable[Limit]) -> "Orders":
        """Return the orders after limits were added and removed.

        If a change gives a limit another sort key, or another value of a field that filters use, `removed` contains the
        old limit, and `added` contains the new one. No other change moves a limit.
        """
        added, removed = list(added), list(removed)
        with self._lock:
            filtered, names = list(self._filtered.items()), list(self._names.items())
        if not added and not removed:
            return Orders(entries, self._whole, filtered, names)
        whole = {name: self._order(ids, name, entries, added, removed) for name, ids in self._whole.items()}
        filtered = [
            (
                kind,
                self._order(
                    ids,
                    kind[1],
                    entries,
                    [limit for limit in added if kind[0].passes(limit)],
                    [limit for limit in removed if kind[0].passes(limit)],
                ),
            )
            for kind, ids in filtered
        ]
        return Orders(entries, whole, filtered)

    def _order(
        self, ids: list[str], name: str, entries: Entries, added: list[Limit], removed: list[Limit]
    ) -> list[str]:
        if not added and not removed:
            return ids
        made, key = ids.copy(), KEYS[name]
        for limit in removed:
            del made[bisect_left(made, key(limit), key=lambda limit_id: key(self._entries[limit_id].limit))]
        for limit in added:
            insort(made, limit.id, key=lambda limit_id: key(entries[limit_id].limit))
        return made
