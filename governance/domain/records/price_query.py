"""The queries of prices: for a page of prices, and for the price of one model."""

from typing import NamedTuple

from governance.domain.pricing.tokens import TokenCounts
from governance.domain.records.list_query import Page


class PricesQuery(NamedTuple):
    """A query of the list of prices. None is no filter. An empty `search` is no filter.

    Both values are in canonical form.
    """

    page: Page = Page()
    provider: str | None = None
    search: str = ""
    source: str | None = None


class PriceLookupQuery(NamedTuple):
    """The look-up of a model's price. `at` is an instant, or None for now.

    `counts` has the tokens whose cost is requested.
    """

    model: str
    provider: str | None = None
    at: int | None = None
    counts: TokenCounts | None = None
