"""`/api/governance/usage/history`: usage over time, by provider, model, virtual key and user."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from flask import Blueprint

from governance.container import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.web.http.answers import plain_page
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas.history import rows
from schemas.history.queries import HistoryListQuery
from schemas.responses.history import UsageHistory

blueprint = Blueprint("history", __name__, url_prefix="/api/governance/usage")

CSV = "text/csv"


@blueprint.get("/history")
@operation(
    "Read who spent what",
    scope=KeyScope.READ,
    query=HistoryListQuery(),
    answer=UsageHistory(),
    refusals=(Code.RESOLUTION_UNAVAILABLE,),
)
def usage_history(query: Mapping[str, Any]) -> HttpResponse:
    """Return the usage of each group in each period.

    With `format=csv` or `Accept: text/csv`, return all rows as CSV.
    """
    history = governance().history
    wanted = history.query(query)
    accepts = the_request().accept_mimetypes
    if query["format"] == "csv" or (accepts.best == CSV and not accepts.accept_json):
        pages = history.stream(wanted)
        # read the first page before the response begins, so that an error can still be sent as the response
        first = next(pages)
        lines = rows.csv_lines(wanted, chain([first], pages))
        return HttpResponse(lines, content_type=f"{CSV}; charset=utf-8")
    page = history.page(wanted)
    shown = [rows.row(wanted, page, found) for found in page.rows]
    rest = {"sum": rows.amounts(page.sum), **history.bounds(wanted)}
    return plain_page("usage", shown, page.total, wanted.page, rest)
