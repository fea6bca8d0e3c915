"""Reads pages of limits, budgets and rate limits from the snapshot, without SQL.

The snapshot is a worker's copy of the database in memory. A budget sets a maximum of dollars for a limit. A rate limit
sets a maximum of tokens, of requests, or of both.
"""

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
    """A page of limits as JSON documents with their ETags.

    It also contains the number of all limits that match the filter, the snapshot's age in seconds, and the conditions
    under which the page stays valid.
    """

    documents: Sequence[bytes]
    etags: Sequence[str]
    total: int
    age: float
    validity: Validity


class SnapshotItems(NamedTuple):
    """A page of budgets or of rate limits.

    `page` contains the id of each budget or rate limit, and the limit to which it belongs. `total` is the number of all
    budgets or rate limits. `age` is the snapshot's age in seconds.
    """

    page: list[tuple[str, LimitState]]
    total: int
    age: float


class SnapshotReader:
    """Reads pages from the snapshot in a cache."""

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
        """Return the JSON of a limit that was read from the database.

        If the JSON of the same limit with the same counters is cached and still valid, return the cached JSON.
        """
        return self._renderings.of(entry, now)

    def items(self, page: Page, *, budgets: bool) -> SnapshotItems:
        """Return a page of budgets or of rate limits, newest first. Raises Unavailable."""
        known = self.cache.get()
        found = self._items[budgets].of(known.snapshot)
        entries = known.snapshot.entries
        shown = [(item.id, entries[item.limit_id]) for item in _page(found, page, descending=True)]
        return SnapshotItems(shown, len(found), self.cache.age(known))


def _page(ascending: list[Thing], page: Page, *, descending: bool) -> list[Thing]:
    """Return a page of an ascending list, in ascending or descending order."""
    if not descending:
        return ascending[page.offset : page.offset + page.limit]
    end = max(0, len(ascending) - page.offset)
    return ascending[max(0, end - page.limit) : end][::-1]


class _Items:
    """Caches the list of all budgets, or of all rate limits, of the last requested snapshot.

    The list is computed again only if the config revision has changed. This number rises with each edit of a limit,
    key, user or price.
    """

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
