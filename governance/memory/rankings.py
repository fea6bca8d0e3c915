"""Limits by how much of them is used.

Shares move with every count and with every window's end, hundreds a second: a ranking is made once, and from then on
only what moved is put in its new place.
"""

from bisect import bisect_left, insort
from heapq import heappop, heappush
from threading import Lock
from typing import NamedTuple, TypeVar

from cachetools import LRUCache

from governance.domain.limits import Scoped, usage_share
from governance.domain.pages import Filter, Page
from governance.memory.snapshot import Snapshot

Thing = TypeVar("Thing", str, tuple[int, str])

KEPT = 32
FOREVER = 2**62
REMADE = 16
"""When more than one in so many has moved, making the ranking anew is less work than moving them."""


class Ranked(NamedTuple):
    """The ids of a page, how many pass in all, and the span of time in which the ranking stands so."""

    ids: list[str]
    total: int
    valid_from: int
    valid_until: int


class Rankings:
    """The rankings of the last filters that were asked about."""

    def __init__(self) -> None:
        self._kept: LRUCache[Filter, Ranking] = LRUCache(KEPT)
        self._lock = Lock()

    def page(self, snapshot: Snapshot, wanted: Filter, now: int, page: Page, *, descending: bool) -> Ranked:
        """A page of the limits that pass, by the share used of them, then by id."""
        with self._lock:
            ranking = self._kept.get(wanted)
            if ranking is None:
                ranking = self._kept[wanted] = Ranking(wanted)
        return ranking.page(snapshot, now, page, descending=descending)


class Ranking:
    """The limits that pass a filter: the unused by id, behind them the used by (share, id)."""

    def __init__(self, wanted: Filter) -> None:
        self._wanted = wanted
        self._snapshot: Snapshot | None = None
        self._passing: list[str] = []
        self._unused: list[str] = []
        self._used: list[tuple[int, str]] = []
        self._shares: dict[str, int] = {}
        self._ends: list[tuple[int, str]] = []
        self._awaited: set[tuple[int, str]] = set()
        self._since = FOREVER
        self._lock = Lock()

    def page(self, snapshot: Snapshot, now: int, page: Page, *, descending: bool) -> Ranked:
        """A page as it is in a snapshot at `now`."""
        with self._lock:
            moved = self._moved(snapshot, now)
            if moved is None:
                self._make(snapshot, now)
            else:
                self._snapshot = snapshot
                for limit_id in moved:
                    self._place(snapshot.entries[limit_id], now)
            until = self._ends[0][0] if self._ends else FOREVER
            return Ranked(self._slice(page, descending=descending), len(self._passing), self._since, until)

    def _slice(self, page: Page, *, descending: bool) -> list[str]:
        total, idle = len(self._passing), len(self._unused)
        begin = max(0, total - page.offset - page.limit) if descending else page.offset
        end = max(0, total - page.offset) if descending else page.offset + page.limit
        used = self._used[max(0, begin - idle) : max(0, end - idle)]
        ids = self._unused[begin:end] + [limit_id for _, limit_id in used]
        return ids[::-1] if descending else ids

    def _moved(self, snapshot: Snapshot, now: int) -> set[str] | None:
        """Whose share may be another now; None where all is to be made anew."""
        before = self._snapshot
        passing = snapshot.orders.ids(self._wanted, "id")
        if before is None or passing is not self._passing or now < self._since:
            return None
        moved = self._ended(now)
        if before is not snapshot:
            moved |= self._recounted(before, snapshot)
        return moved if len(moved) * REMADE <= len(passing) + REMADE * REMADE else None

    def _recounted(self, before: Snapshot, after: Snapshot) -> set[str]:
        """The limits with another entry: what is used of one that is in neither set of used ones has not moved."""
        used = before.used if before.used is after.used else before.used | after.used
        old, new, passes = before.entries.get, after.entries.get, self._wanted.passes
        changed = ((limit_id, new(limit_id)) for limit_id in used if old(limit_id) is not new(limit_id))
        return {limit_id for limit_id, entry in changed if entry is not None and passes(entry.limit)}

    def _ended(self, now: int) -> set[str]:
        """The limits of which a window has ended."""
        ended = set()
        while self._ends and self._ends[0][0] <= now:
            awaited = heappop(self._ends)
            self._awaited.discard(awaited)
            self._since = max(self._since, awaited[0])
            ended.add(awaited[1])
        return ended

    def _make(self, snapshot: Snapshot, now: int) -> None:
        self._snapshot, self._since = snapshot, -FOREVER
        self._passing = snapshot.orders.ids(self._wanted, "id")
        entries, passes = snapshot.entries, self._wanted.passes
        used = [limit_id for limit_id in snapshot.used if passes(entries[limit_id].limit)]
        shares = ((limit_id, usage_share(entries[limit_id], now)) for limit_id in used)
        self._shares = {limit_id: share for limit_id, share in shares if share}
        self._used = sorted((share, limit_id) for limit_id, share in self._shares.items())
        self._unused = [limit_id for limit_id in self._passing if limit_id not in self._shares]
        self._ends, self._awaited = [], set()
        for limit_id in used:
            self._await(entries[limit_id], now)

    def _place(self, entry: Scoped, now: int) -> None:
        """Put a limit where it stands now."""
        limit_id = entry.limit.id
        before, after = self._shares.get(limit_id, 0), usage_share(entry, now)
        self._await(entry, now)
        if before == after:
            return
        _remove(self._used, (before, limit_id)) if before else _remove(self._unused, limit_id)
        insort(self._used, (after, limit_id)) if after else insort(self._unused, limit_id)
        self._shares[limit_id] = after

    def _await(self, entry: Scoped, now: int) -> None:
        """Note when a limit's share changes by itself: with the end of each window of which something is used."""
        for counter in entry.counters:
            if counter is None or not counter.used:
                continue
            if counter.end <= now:
                self._since = max(self._since, counter.end)
            elif (end := (counter.end, entry.limit.id)) not in self._awaited:
                self._awaited.add(end)
                heappush(self._ends, end)


def _remove(ascending: list[Thing], thing: Thing) -> None:
    del ascending[bisect_left(ascending, thing)]
