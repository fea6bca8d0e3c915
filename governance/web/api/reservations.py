"""`/api/governance/reservations`, `/usage` and `/check`: reserve amounts before a call, and charge its usage after it.

A call is a request to a model. A rule sets a maximum of dollars, tokens or requests in a time window. A reservation
holds the amounts of one call on every rule that applies to the call.
"""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from governance.container import governance
from governance.domain.errors import Code, InvalidRequest
from governance.domain.keys import KeyScope
from governance.domain.metering.decision import Decision
from governance.domain.metering.request import ReservationRequest
from governance.domain.metering.reservation import Actual, Reservation
from governance.domain.metering.reservation_query import ReservationFilter
from governance.domain.records.list_query import Page
from governance.services.metering.reserve_and_report import Renderer
from governance.web.http.answers import answer, document, plain_page
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas.metering import decisions, requests
from schemas.metering.checks import checked
from schemas.metering.denials import refusal
from schemas.metering.unknown_prices import settle_warnings
from schemas.responses.decisions import Admitted, Checked, UsageRecorded
from schemas.responses.reservations import ReservationFound, ReservationList, ReservationSettled

blueprint = Blueprint("reservations", __name__, url_prefix="/api/governance")

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
DENIALS = (Code.BUDGET_EXCEEDED, Code.REQUEST_LIMITED, Code.TOKEN_LIMITED, Code.RATE_LIMITED)
REFUSED_KEYS = (Code.VIRTUAL_KEY_UNKNOWN, Code.VIRTUAL_KEY_INACTIVE, Code.VIRTUAL_KEY_EXPIRED)
RESERVED = Renderer(decisions.allowed, decisions.repeated_texts)
REPORTED = Renderer(decisions.reported, decisions.repeated_texts)
ENDED = (Code.RESERVATION_NOT_FOUND, Code.ALREADY_SETTLED, Code.ALREADY_RELEASED)


@blueprint.post("/reservations")
@operation(
    "Reserve before a call",
    scope=KeyScope.METER,
    body=requests.ReservationCreate(),
    answer=Admitted(),
    refusals=(*DENIALS, *REFUSED_KEYS, Code.IDEMPOTENCY_KEY_REUSED, Code.PRICE_UNKNOWN),
)
def create_reservation(body: ReservationRequest) -> HttpResponse:
    """Reserve the requested amounts on every rule that applies to a call.

    If the amount that is left of a rule is too small, nothing is reserved, and the error contains that rule.
    """
    return _answered(governance().metering.reserve(body, RESERVED, _repeat()))


@blueprint.get("/reservations")
@operation(
    "List reservations",
    scope=KeyScope.READ,
    also=KeyScope.METER,
    query=requests.ReservationsQuery(),
    answer=ReservationList(),
)
def list_reservations(query: Mapping[str, Any]) -> HttpResponse:
    """Return a page of reservations, newest first. `total_count` is null if it would be above 10,000."""
    page = Page(query["limit"], query["offset"])
    wanted = ReservationFilter(**{name: query.get(name) for name in ReservationFilter._fields})
    found, total = governance().reservations.page(page, wanted)
    return plain_page("reservations", [decisions.reservation(each) for each in found], total, page)


@blueprint.get("/reservations/<reservation_id>")
@operation(
    "Read a reservation",
    scope=KeyScope.READ,
    also=KeyScope.METER,
    answer=ReservationFound(),
    refusals=(Code.RESERVATION_NOT_FOUND,),
)
def get_reservation(reservation_id: str) -> HttpResponse:
    """Read one reservation."""
    return _shown(governance().reservations.get(reservation_id))


@blueprint.post("/reservations/<reservation_id>/settle")
@operation(
    "Settle a reservation",
    scope=KeyScope.METER,
    body=requests.Settlement(),
    answer=ReservationSettled(),
    refusals=ENDED,
)
def settle_reservation(reservation_id: str, body: Actual) -> HttpResponse:
    """Charge the usage of a call, and end its reservation.

    If the body leaves out an amount, the reserved amount is charged. If the used amount is larger than the reserved
    amount, the used amount is charged in full.
    """
    after, is_unpriced = governance().reservations.settle(reservation_id, body)
    found = {"warnings": settle_warnings(after)} if is_unpriced else {}
    return answer({"reservation": decisions.reservation(after)} | found)


@blueprint.post("/reservations/<reservation_id>/release")
@operation("Release a reservation", scope=KeyScope.METER, answer=ReservationFound(), refusals=ENDED)
def release_reservation(reservation_id: str) -> HttpResponse:
    """End a reservation without a charge, because the call used nothing."""
    return _shown(governance().reservations.release(reservation_id))


@blueprint.post("/reservations/<reservation_id>/extend")
@operation(
    "Extend a reservation",
    scope=KeyScope.METER,
    body=requests.Extension(),
    answer=ReservationFound(),
    refusals=(*ENDED, Code.RESERVATION_EXPIRED),
)
def extend_reservation(reservation_id: str, body: Mapping[str, Any]) -> HttpResponse:
    """Extend a reservation, for example for a long stream.

    The reservation then expires `ttl_seconds` after this request. The expiry never becomes earlier.
    """
    return _shown(governance().reservations.extend(reservation_id, body["ttl_seconds"]))


@blueprint.post("/usage")
@operation(
    "Report usage without a reservation",
    scope=KeyScope.METER,
    body=requests.UsageReport(),
    answer=UsageRecorded(),
    refusals=(Code.IDEMPOTENCY_KEY_REUSED,),
)
def report_usage(body: ReservationRequest) -> HttpResponse:
    """Charge usage that was not reserved.

    The usage is charged even if it exceeds what is left of a rule. The response shows which rules are used up.
    """
    return _answered(governance().metering.report(body, REPORTED, _repeat()))


@blueprint.post("/check")
@operation(
    "Check without any effect",
    scope=KeyScope.READ,
    also=KeyScope.METER,
    body=requests.ReservationCreate(),
    answer=Checked(),
)
def check(body: ReservationRequest) -> HttpResponse:
    """Return the decision that a reservation with the same body would get. Nothing is reserved.

    Also return why other limits on the model or the provider do not apply to the call.
    """
    check = governance().metering.check
    decision = check(body)
    return answer(checked(decision, check.unmatched(decision)))


def _repeat() -> tuple[str, str, str] | None:
    """Return the API key's id, the path and the Idempotency-Key. Together they identify repeats of a request.

    Return None if the request has no Idempotency-Key. Raises InvalidRequest if the Idempotency-Key is malformed.
    """
    request = the_request()
    given = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if given is None:
        return None
    if IDEMPOTENCY_KEY.fullmatch(given) is None:
        sentence = "Give Idempotency-Key 1 to 255 visible ASCII characters."
        raise InvalidRequest(sentence, param="Idempotency-Key", code=Code.INVALID_PARAMETER)
    return request.api_key.id, request.path, given


def _answered(decision: Decision) -> HttpResponse:
    """Return the response to a call that is allowed. The decision contains the rendered JSON.

    If the call is refused, raises Denied, Forbidden or InvalidRequest.
    """
    if decision.rendered:
        return document(decision.rendered, [("Idempotent-Replayed", "true")] if decision.replayed else [])
    raise refusal(decision)


def _shown(held: Reservation) -> HttpResponse:
    return answer({"reservation": decisions.reservation(held)})
