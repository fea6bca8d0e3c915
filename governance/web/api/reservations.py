"""`/api/governance/reservations`, `/usage` and `/check`: decide before a call, charge after it."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, g

from governance.container import governance
from governance.domain.errors import Code, InvalidRequest
from governance.domain.keys import KeyScope
from governance.domain.metering.reservation import Actual, Reservation
from governance.domain.records.pages import Page
from governance.services.metering.metering import Answer
from governance.web.http.answers import answer, document, plain_page
from governance.web.http.context import the_request
from governance.web.http.flask_app import Response
from governance.web.http.operation import operation
from schemas import metering
from schemas.answers.decisions import Admitted, Checked, UsageRecorded
from schemas.answers.reservations import ReservationFound, ReservationList
from schemas.metering import Ask

blueprint = Blueprint("reservations", __name__, url_prefix="/api/governance")

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
DENIALS = (Code.BUDGET_EXCEEDED, Code.REQUEST_LIMITED, Code.TOKEN_LIMITED, Code.RATE_LIMITED)
REFUSED_KEYS = (Code.VIRTUAL_KEY_UNKNOWN, Code.VIRTUAL_KEY_INACTIVE, Code.VIRTUAL_KEY_EXPIRED)
ENDED = (Code.RESERVATION_NOT_FOUND, Code.ALREADY_SETTLED, Code.ALREADY_RELEASED)


@blueprint.post("/reservations")
@operation(
    "Reserve before a call",
    scope=KeyScope.METER,
    body=metering.ReservationCreate(),
    answer=Admitted(),
    refusals=(*DENIALS, *REFUSED_KEYS, Code.IDEMPOTENCY_KEY_REUSED),
)
def create_reservation(body: Ask) -> Response:
    """Hold what a call asks for on every rule that applies, or consume nothing and say which had no room."""
    return _given(governance().metering.reserve(body, _repeat()))


@blueprint.get("/reservations")
@operation(
    "List reservations",
    scope=KeyScope.READ,
    also=KeyScope.METER,
    query=metering.ReservationsQuery(),
    answer=ReservationList(),
)
def list_reservations(query: Mapping[str, Any]) -> Response:
    """Return a page of reservations, newest first."""
    page = Page(query["limit"], query["offset"])
    found, total = governance().reservations.page(page, query.get("status"))
    return plain_page("reservations", [metering.reservation(each) for each in found], total, page)


@blueprint.get("/reservations/<reservation_id>")
@operation(
    "Read a reservation",
    scope=KeyScope.READ,
    also=KeyScope.METER,
    answer=ReservationFound(),
    refusals=(Code.RESERVATION_NOT_FOUND,),
)
def get_reservation(reservation_id: str) -> Response:
    """Read one reservation."""
    return _shown(governance().reservations.get(reservation_id))


@blueprint.post("/reservations/<reservation_id>/settle")
@operation(
    "Settle a reservation",
    scope=KeyScope.METER,
    body=metering.Settlement(),
    answer=ReservationFound(),
    refusals=ENDED,
)
def settle_reservation(reservation_id: str, body: Actual) -> Response:
    """Turn the hold into what was used: an amount left out as held, more than held in full."""
    return _shown(governance().reservations.settle(reservation_id, body))


@blueprint.post("/reservations/<reservation_id>/release")
@operation("Release a reservation", scope=KeyScope.METER, answer=ReservationFound(), refusals=ENDED)
def release_reservation(reservation_id: str) -> Response:
    """Give the hold back: nothing was used."""
    return _shown(governance().reservations.release(reservation_id))


@blueprint.post("/reservations/<reservation_id>/extend")
@operation(
    "Extend a reservation",
    scope=KeyScope.METER,
    body=metering.Extension(),
    answer=ReservationFound(),
    refusals=(*ENDED, Code.RESERVATION_EXPIRED),
)
def extend_reservation(reservation_id: str, body: Mapping[str, Any]) -> Response:
    """Let the hold of a long stream last until so many seconds from now, never less long than it did."""
    return _shown(governance().reservations.extend(reservation_id, body["ttl_seconds"]))


@blueprint.post("/usage")
@operation(
    "Report usage without a reservation",
    scope=KeyScope.METER,
    body=metering.UsageReport(),
    answer=UsageRecorded(),
    refusals=(Code.IDEMPOTENCY_KEY_REUSED,),
)
def report_usage(body: Ask) -> Response:
    """Charge what was used: always accepted; the answer shows which rules are used up now."""
    return _given(governance().metering.report(body, _repeat()))


@blueprint.post("/check")
@operation(
    "Check without any effect",
    scope=KeyScope.READ,
    also=KeyScope.METER,
    body=metering.ReservationCreate(),
    answer=Checked(),
)
def check(body: Ask) -> Response:
    """Say what a reservation would be answered, and why limits of the same model or provider would not apply."""
    return answer(governance().metering.check(body))


def _repeat() -> tuple[str, str, str] | None:
    """What tells a repeat: the API key, the path and the caller's Idempotency-Key. Raises InvalidRequest."""
    request = the_request()
    given = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if given is None:
        return None
    if IDEMPOTENCY_KEY.fullmatch(given) is None:
        sentence = "Give Idempotency-Key 1 to 255 visible ASCII characters."
        raise InvalidRequest(sentence, param="Idempotency-Key", code=Code.INVALID_PARAMETER)
    return g.api_key.id, request.path, given


def _given(made: Answer) -> Response:
    return document(made.body, [("Idempotent-Replayed", "true")] if made.replayed else [])


def _shown(held: Reservation) -> Response:
    return answer({"reservation": metering.reservation(held)})
