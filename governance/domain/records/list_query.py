"""The parts of a query for a list: page, filter and sort order."""

from typing import NamedTuple

from governance.domain.limits.limit import Limit

DEFAULT_PAGE = 25
LARGEST_PAGE = 100
FARTHEST_OFFSET = 1_000_000_000


class Page(NamedTuple):
    """A part of a list: skip `offset` rows, then return at most `limit` rows."""

    limit: int = DEFAULT_PAGE
    offset: int = 0


class Filter(NamedTuple):
    """Selects model limits.

    A field that is `None` does not filter, and neither does an empty `search`. `search` is case-folded.
    """

    scope: str | None = None
    scope_id: str | None = None
    provider: str | None = None
    search: str = ""

    def passes(self, limit: Limit) -> bool:
        """Return whether a limit matches the filter."""
        return (
            (self.scope is None or limit.scope == self.scope)
            and (self.scope_id is None or limit.scope_id == self.scope_id)
            and (self.provider is None or limit.provider == self.provider)
            and self.search in limit.search_name
        )


class Order(NamedTuple):
    """The sort order: by `created_at`, `model_name` or `usage`. Equal rows are sorted by id, in the same direction."""

    sort_by: str = "created_at"
    descending: bool = True


class Validity(NamedTuple):
    """The time in which a page of the list is valid.

    `snapshot` is the copy of the database in memory from which the page was read. The page is valid from `valid_from`
    until `valid_until` (microseconds), as long as this snapshot is the current one.
    """

    snapshot: object
    valid_from: int
    valid_until: int


class ListQuery(NamedTuple):
    """A query for the list of model limits."""

    page: Page = Page()
    filter: Filter = Filter()
    order: Order = Order()
    from_memory: bool = False
