"""The dashboard's list of all stored reservations, with tabs for open, late, settled and released reservations.

A reservation holds the amounts of a call on the limits until the call has ended.
"""

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.domain.metering.reservation_query import ReservationFilter
from governance.domain.records.list_query import Page
from governance.web.dashboard.core import addresses, paging
from governance.web.dashboard.core.blueprint import shows
from governance.web.http.context import the_request
from schemas import queries
from schemas.metering.requests import ReservationsQuery

QUERY = ReservationsQuery()
TABS = (("", "All"), ("open", "Open"), ("expired", "Late: expired"), ("settled", "Settled"), ("released", "Released"))


@shows("reservations")
def reservations() -> ResponseReturnValue:
    """Show a page of reservations, newest first."""
    query = queries.read(QUERY, addresses.question())
    page = paging.shown(Page(query["limit"], query["offset"]))
    wanted = ReservationFilter(**{name: query.get(name) for name in ReservationFilter._fields})
    service = governance()
    found, total = service.reservations.page(page, wanted)
    return render_template(
        "dashboard/reservations.html",
        reservations=found,
        total=total,
        page=page,
        tabs=TABS,
        filters=the_request().args,
        now=service.sessions.now() * 1_000_000,
        open_count=service.reservations.open_count(),
    )
