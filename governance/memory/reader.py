"""Answers from memory: pages of limits, budgets and rate limits without any SQL."""

from threading import Lock
from typing import NamedTuple, TypeVar

from governance.domain.limits import Scoped
from governance.domain.pages import ListQuery, Page
from governance.memory import items
from governance.memory.cache import SnapshotCache
from governance.memory.items import Item
from governance.memory.rankings import Rankings
from governance.memory.renderings import Renderings
from governance.memory.snapshot import Snapshot
from schemas.render import Rendering

Thing = TypeVar("Thing")


class FromMemory(NamedTuple):
    """A page, how many match in all, and how many seconds ago that was last known to be so."""

    page: list[Rendering]
    total: int
    age: float


class ItemsFromMemory(NamedTuple):
    """A page of (budget or rate limit id, the limit it is in); total and age as above."""

    page: list[tuple[str, Scoped]]
    total: int
    age: float


class MemoryReader:
    """Reads pages off the snapshot that a cache holds."""

    def __init__(self, cache: SnapshotCache, most_bytes: int) -> None:
        self.cache = cache
        self._renderings = Renderings(most_bytes)
        self._rankings = Rankings()
        self._items = {True: _Items(budgets=True), False: _Items(budgets=False)}

    def limits(self, query: ListQuery, now: int) -> FromMemory:
        """A page of model limits. Raises Unavailable."""
        known = self.cache.get()
        snapshot = known.snapshot
        if query.order.sort_by == "usage":
            ids = self._rankings.ids(snapshot, query.filter, now)
        else:
            ids = snapshot.orders.ids(query.filter, query.order.sort_by)
        rendered, entries = self._renderings.of, snapshot.entries
        page = [
            rendered(entries[limit_id], now) for limit_id in _page(ids, query.page, descending=query.order.descending)
        ]
        return FromMemory(page, len(ids), self.cache.age(known))

    def items(self, page: Page, *, budgets: bool) -> ItemsFromMemory:
        """A page of budgets, or of rate limits, newest first. Raises Unavailable."""
        known = self.cache.get()
        found = self._items[budgets].of(known.snapshot)
        entries = known.snapshot.entries
        shown = [(item.id, entries[item.limit_id]) for item in _page(found, page, descending=True)]
        return ItemsFromMemory(shown, len(found), self.cache.age(known))


def _page(ascending: list[Thing], page: Page, *, descending: bool) -> list[Thing]:
    """A page of an ascending list, read from either end without turning it around."""
    if not descending:
        return ascending[page.offset : page.offset + page.limit]
    end = max(0, len(ascending) - page.offset)
    return ascending[max(0, end - page.limit) : end][::-1]


class _Items:
    """The flat order of budgets or rate limits at the config revision that was last asked about."""

    def __init__(self, *, budgets: bool) -> None:
        self._budgets = budgets
        self._at: object = None
        self._items: list[Item] = []
        self._lock = Lock()

    def of(self, snapshot: Snapshot) -> list[Item]:
        with self._lock:
            at = (snapshot.mark.file, snapshot.mark.revision)
            if self._at != at:
                limits = (entry.limit for entry in snapshot.entries.values())
                self._items = items.of(limits, budgets=self._budgets)
                self._at = at
            return self._items
