"""The number of rows that a page of a list shows."""

from governance.domain.records.list_query import Page

MOST_ROWS = 50
"""The largest number of rows on a page. The API returns 100 rows, with which a page would be larger than 150 KB."""


def shown(page: Page) -> Page:
    """Return the page, limited to `MOST_ROWS` rows."""
    return page._replace(limit=min(page.limit, MOST_ROWS))
