"""Limits the number of rows that a page of the dashboard shows."""

from governance.domain.records.list_query import Page

MOST_ROWS = 50
"""The largest number of rows on a page.

The API returns up to 100 rows. An HTML page with 100 rows would be larger than 150 KB.
"""


def shown(page: Page) -> Page:
    """Return the wanted page of a list, with at most `MOST_ROWS` rows."""
    return page._replace(limit=min(page.limit, MOST_ROWS))
