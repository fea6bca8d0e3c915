"""Reads pages of limits, budgets and rate limits from the snapshot, without SQL."""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple, TypeVar

from governance.domain.limits.limit import LimitState
from governance.domain.records.list_query import ListQuery, Page, Validity
from governance.snapshot import rules
from governance.snapshot.cache import SnapshotCache
from governance.snapshot.renderings import Renderings
from governance.snapshot.rules import FlatItem
from governance.snapshot.snapshot import Snapshot
from governance.snapshot.usage_rankings import RankedPage, Rankings
from schemas.render import FOREVER, Rendering

Thing = TypeVar("Thing")


class SnapshotPage(NamedTuple):
    """A page of JSON documents with their ETags.

    It also contains the number of all limits, the snapshot's age in seconds, and the validity of the page.
    """

    documents: Sequence[bytes]
    etags: Sequence[str]
    total: int
    age: float
    validity: Validity


class SnapshotItems(NamedTuple):
    """A page of (id of a budget or rate limit, its limit). The total and the age are as in `SnapshotPage`."""

    page: list[tuple[str, LimitState]]
    total: int
    age: float


class SnapshotReader:
    """Reads pages from the snapshot that a cache contains."""

    def __init__(self, cache: SnapshotCache, most_bytes: int) -> None:
        self.cache = cache
        self._renderings = Renderings(most_bytes)
        self._rankings = Rankings()
        self._items = {True: _Items(budgets=True), False: _Items(budgets=False)}

    def limits(self, query: ListQuery, now: int) -> SnapshotPage:
        """Return a page of model limits. Raises Unavailable."""
        known = self.cache.get()
        snapshot = known.snapshot
        wanted, page, (sort_by, descending) = query.filter, query.page, query.order
        if sort_by == "usage":
            found = self._rankings.page(snapshot, wanted, now, page, descending=descending)
        else:
            ids = snapshot.orders.ids(wanted, sort_by)
            found = RankedPage(_page(ids, page, descending=descending), len(ids), -FOREVER, FOREVER)
        rendered = self._renderings.page(snapshot.entries.of(found.ids), now)
        documents, etags, begins, ends = zip(*rendered, strict=True) if rendered else ((), (), (), ())
        validity = Validity(snapshot, max((found.valid_from, *begins)), min((found.valid_until, *ends)))
        return SnapshotPage(documents, etags, found.total, self.cache.age(known), validity)

    def rendering(self, entry: LimitState, now: int) -> Rendering:
        """Return the JSON of a limit that was read from the database. If an equal rendering is cached, return it."""
        return self._renderings.of(entry, now)

    def items(self, page: Page, *, budgets: bool) -> SnapshotItems:
        """Return a page of budgets or of rate limits, newest first. Raises Unavailable."""
        known = self.cache.get()
        found = self._items[budgets].of(known.snapshot)
        entries = known.snapshot.entries
        shown = [(item.id, entries[item.limit_id]) for item in _page(found, page, descending=True)]
        return SnapshotItems(shown, len(found), self.cache.age(known))


def _page(ascending: list[Thing], page: Page, *, descending: bool) -> list[Thing]:
    """Return a page of an ascending list, forwards or backwards."""
    if not descending:
        return ascending[page.offset : page.offset + page.limit]
    end = max(0, len(ascending) - page.offset)
    return ascending[max(0, end - page.limit) : end][::-1]


class _Items:
    """The list of all budgets, or of all rate limits, at the last requested config revision."""

    def __init__(self, *, budgets: bool) -> None:
        self._budgets = budgets
        self._at: object = None
        self._items: list[FlatItem] = []
        self._lock = Lock()

    def of(self, snapshot: Snapshot) -> list[FlatItem]:
        with self._lock:
            at = (snapshot.mark.file, snapshot.mark.revision)
            if self._at != at:
                limits = (entry.limit for entry in snapshot.entries.values())
                self._items = rules.of(limits, budgets=self._budgets)
                self._at = at
            return self._items
