"""The queries for prices: for a page of prices, and for the price of one model."""

from typing import NamedTuple

from governance.domain.pricing.tokens import TokenCounts
from governance.domain.records.list_query import Page


class PricesQuery(NamedTuple):
    """A query for a page of prices.

    A provider that is `None` does not filter, and neither does an empty `search`. Both values are in canonical form.
    """

    page: Page = Page()
    provider: str | None = None
    search: str = ""
    source: str | None = None


class PriceLookupQuery(NamedTuple):
    """A query for the price of one model.

    `at` is a time in microseconds since 1970. None means now. The response contains the cost of the tokens in `counts`.
    """

    model: str
    provider: str | None = None
    at: int | None = None
    counts: TokenCounts | None = None
