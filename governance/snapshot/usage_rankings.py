"""Ranks limits by their used share, which is usage divided by the maximum.

The used share of a limit changes with every call to which the limit applies, and at the end of every time window with
usage. Over all limits, there are hundreds of such changes per second. So a ranking is computed once. After that, only
the limits whose share has changed are moved.
"""

from bisect import bisect_left
from heapq import heappop, heappush, merge
from threading import Lock
from typing import NamedTuple, TypeVar

from cachetools import LRUCache

from governance.domain.limits.limit import LimitState, usage_share
from governance.domain.records.list_query import Filter, Page
from governance.snapshot.snapshot import Snapshot

Thing = TypeVar("Thing", str, tuple[int, str])

KEPT = 32
FOREVER = 2**62
SLICE = 2000
REMADE = 16
"""If more than one limit in 16 must move, the whole ranking is computed again, because this is then faster."""


class RankedPage(NamedTuple):
    """The ids of a page, the number of all matching limits, and the time span for which the ranking is valid.

    `valid_from` and `valid_until` are in microseconds.
    """

    ids: list[str]
    total: int
    valid_from: int
    valid_until: int


class Rankings:
    """The rankings for the filters that were requested most recently."""

    def __init__(self) -> None:
        self._kept: LRUCache[Filter, Ranking] = LRUCache(KEPT)
        self._lock = Lock()

    def page(self, snapshot: Snapshot, wanted: Filter, now: int, page: Page, *, descending: bool) -> RankedPage:
        """Return a page of the limits that match a filter, sorted by their used share, then by id."""
        with self._lock:
            ranking = self._kept.get(wanted)
            if ranking is None:
                ranking = self._kept[wanted] = Ranking(wanted)
        return ranking.page(snapshot, now, page, descending=descending)


class Ranking:
    """The limits that match one filter: first the unused limits by id, then the used limits by (share, id)."""

    def __init__(self, wanted: Filter) -> None:
        self._wanted = wanted
        self._snapshot: Snapshot | None = None
        self._unused: list[str] = []
        self._used: list[tuple[int, str]] = []
        self._shares: dict[str, int] = {}
        self._ends: list[tuple[int, str]] = []
        self._awaited: dict[str, int] = {}
        self._since = FOREVER
        self._lock = Lock()

    def page(self, snapshot: Snapshot, now: int, page: Page, *, descending: bool) -> RankedPage:
        """Return a page for a snapshot at `now`."""
        with self._lock:
            moved = self._moved(snapshot, now)
            self._snapshot = snapshot
            if moved is None:
                self._make(snapshot, now)
            else:
                for limit_id in moved:
                    self._place(limit_id, snapshot.entries.get(limit_id), now)
            until = self._ends[0][0] if self._ends else FOREVER
            total = len(self._unused) + len(self._used)
            return RankedPage(self._slice(page, total, descending=descending), total, self._since, until)

    def _slice(self, page: Page, total: int, *, descending: bool) -> list[str]:
        idle = len(self._unused)
        begin = max(0, total - page.offset - page.limit) if descending else page.offset
        end = max(0, total - page.offset) if descending else page.offset + page.limit
        used = self._used[max(0, begin - idle) : max(0, end - idle)]
        ids = self._unused[begin:end] + [limit_id for _, limit_id in used]
        return ids[::-1] if descending else ids

    def _moved(self, snapshot: Snapshot, now: int) -> set[str] | None:
        """Return the ids of the limits that may have to move.

        Return None if the whole ranking must be computed again.
        """
        before = self._snapshot
        if before is None or now < self._since:
            return None
        moved = self._ended(now)
        if before is not snapshot:
            moved.update(snapshot.entries.changed_since(before.entries))
            moved.update(before.entries.changed_since(snapshot.entries))  # this includes limits that were removed
        return moved if len(moved) * REMADE <= len(self._unused) + len(self._used) + REMADE * REMADE else None

    def _ended(self, now: int) -> set[str]:
        """Return the ids of the limits for which a window with usage has ended."""
        ended = set()
        while self._ends and self._ends[0][0] <= now:
            end, limit_id = heappop(self._ends)
            if self._awaited.get(limit_id) == end:
                del self._awaited[limit_id]
                self._since = max(self._since, end)
                ended.add(limit_id)
        return ended

    def _make(self, snapshot: Snapshot, now: int) -> None:
        self._since, self._ends, self._awaited = -FOREVER, [], {}
        ids = snapshot.orders.ids(self._wanted, "id")
        entries = snapshot.entries.of(ids)
        shares = ((limit_id, usage_share(entry, now)) for limit_id, entry in zip(ids, entries, strict=True))
        self._shares = {limit_id: share for limit_id, share in shares if share}
        self._used = _sorted([(share, limit_id) for limit_id, share in self._shares.items()])
        self._unused = [limit_id for limit_id in ids if limit_id not in self._shares]
        for entry in entries:
            self._await(entry, now)

    def _place(self, limit_id: str, entry: LimitState | None, now: int) -> None:
        """Move a limit to its current position. Remove it if it was deleted or does not match the filter."""
        passes = entry is not None and self._wanted.passes(entry.limit)
        before, after = self._shares.pop(limit_id, 0), usage_share(entry, now) if entry and passes else 0
        if before and before != after:
            _discard(self._used, (before, limit_id))
        if after or not passes:
            _discard(self._unused, limit_id)
        if entry and passes:
            self._await(entry, now)
            if after:
                self._shares[limit_id] = after
            _insert(self._used, (after, limit_id)) if after else _insert(self._unused, limit_id)

    def _await(self, entry: LimitState, now: int) -> None:
        """Store when the share of a limit will change without a call: at the end of a window with usage."""
        ends = [counter.end for counter in entry.counters if counter is not None and counter.used]
        over = [end for end in ends if end <= now]
        if over:
            self._since = max(self._since, *over)
        if len(over) < len(ends):
            limit_id, end = entry.limit.id, min(end for end in ends if end > now)
            if self._awaited.get(limit_id) != end:
                self._awaited[limit_id] = end
                heappush(self._ends, (end, limit_id))


def _sorted(things: list[Thing]) -> list[Thing]:
    """Sort items in ascending order.

    The items are sorted in slices, because one long sort would hold the interpreter lock until its end.
    """
    return list(merge(*(sorted(things[begin : begin + SLICE]) for begin in range(0, len(things), SLICE))))


def _discard(ascending: list[Thing], thing: Thing) -> None:
    """Remove an item if the list contains it."""
    place = bisect_left(ascending, thing)
    if ascending[place : place + 1] == [thing]:
        del ascending[place]


def _insert(ascending: list[Thing], thing: Thing) -> None:
    """Insert an item if the list does not contain it."""
    place = bisect_left(ascending, thing)
    if ascending[place : place + 1] != [thing]:
        ascending.insert(place, thing)
