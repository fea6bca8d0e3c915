"""The queries of prices: a page of them, and the look-up of one."""

from typing import NamedTuple

from governance.domain.pricing.tokens import TokenCounts
from governance.domain.records.list_query import Page


class PricesQuery(NamedTuple):
    """A query of the list of prices. None, or an empty `search`, is no filter; both are in canonical form."""

    page: Page = Page()
    provider: str | None = None
    search: str = ""
    source: str | None = None


class PriceLookupQuery(NamedTuple):
    """The look-up of a model's price. `at` is an instant, None for now; `counts` are tokens whose cost is wanted."""

    model: str
    provider: str | None = None
    at: int | None = None
    counts: TokenCounts | None = None
