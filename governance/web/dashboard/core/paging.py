"""How many rows a page of a list has."""

from governance.domain.records.list_query import Page

MOST_ROWS = 50
"""The most rows of a page: the API gives 100, of which a page would have over 150 KB."""


def shown(page: Page) -> Page:
    """Return the page with at most `MOST_ROWS` rows."""
    return page._replace(limit=min(page.limit, MOST_ROWS))
