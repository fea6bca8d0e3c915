"""The dashboard's list of limits. The query string contains search, filters, sort order and the page."""

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.domain.records.list_query import ListQuery
from governance.services.limits.model_limits import Listing
from governance.web.dashboard import limit_views
from governance.web.dashboard.core import addresses, paging
from governance.web.dashboard.core.blueprint import shows
from governance.web.http.context import the_request
from schemas import queries
from schemas.queries import ModelLimitsQuery

QUERY = ModelLimitsQuery()
DONE = {"deleted": "The limit was deleted.", "applied": "The file was applied as planned."}


@shows("limits")
def limits() -> ResponseReturnValue:
    """Show a page of limits, with a bar for the usage of each rule."""
    request = the_request()
    query: ListQuery = queries.read(QUERY, addresses.question())
    found = _listing(query)
    return render_template(
        "dashboard/limits.html",
        limits=[limit_views.parsed(document) for document in found.documents],
        total=found.total,
        page=paging.shown(query.page),
        filters=request.args,
        is_filtered=any(request.args.get(name) for name in ("search", "provider", "scope", "scope_id")),
        sort=query.order,
        done=DONE.get(request.args.get("done", "")),
    )


def _listing(query: ListQuery) -> Listing:
    """Return a page of limits.

    Pages sorted by usage and searches by name come from the copy of the limits in this worker's memory. All other pages
    come from the database.
    """
    from_memory = query.order.sort_by == "usage" or bool(query.filter.search)
    return governance().model_limits.page(query._replace(from_memory=from_memory, page=paging.shown(query.page)))
