"""Which part of which list is asked for, and in which order."""

from typing import NamedTuple

from governance.domain.limits.limit import Limit

DEFAULT_PAGE = 25
LARGEST_PAGE = 100
FARTHEST_OFFSET = 1_000_000_000


class Page(NamedTuple):
    """Skip `offset` rows, then show at most `limit`."""

    limit: int = DEFAULT_PAGE
    offset: int = 0


class Filter(NamedTuple):
    """Which model limits are meant: None (or, for `search`, nothing) lets all pass. `search` is folded."""

    scope: str | None = None
    scope_id: str | None = None
    provider: str | None = None
    search: str = ""

    def passes(self, limit: Limit) -> bool:
        """Whether a limit is meant."""
        return (
            (self.scope is None or limit.scope == self.scope)
            and (self.scope_id is None or limit.scope_id == self.scope_id)
            and (self.provider is None or limit.provider == self.provider)
            and self.search in limit.search_name
        )


class Order(NamedTuple):
    """By `created_at`, `model_name` or `usage`; ties by id, in the same direction."""

    sort_by: str = "created_at"
    descending: bool = True


class Validity(NamedTuple):
    """For how long a page stays as it was read: while that snapshot is in force, within the span (microseconds)."""

    snapshot: object
    valid_from: int
    valid_until: int


class ListQuery(NamedTuple):
    """A whole question to the list of model limits."""

    page: Page = Page()
    filter: Filter = Filter()
    order: Order = Order()
    from_memory: bool = False
