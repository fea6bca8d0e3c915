"""`/gateway/settled`: charges the usage of a proxied call. The usage is read from the answer of the upstream.

The upstream is the service that runs the model.
"""

from collections.abc import Callable
from typing import Any

from governance.container import governance
from governance.domain.errors import Code, InvalidRequest
from governance.domain.gateways.answer_reader import AnswerReader
from governance.domain.keys import KeyScope
from governance.web.gateways import bodies
from governance.web.gateways.authorize import blueprint
from governance.web.http.answers import answer
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas.gateways.authorize import CarriedBody
from schemas.metering import decisions
from schemas.metering.unknown_prices import settle_warnings
from schemas.responses.gateways import ProxiedCallSettled

NO_ID = "Send X-Reservation-Id as the answer of authorize had it."
NO_STATUS = "Send X-Upstream-Status as a number such as 200, or leave it out."


@blueprint.post("/settled")
@operation(
    "Settle a proxied call",
    scope=KeyScope.METER,
    body=CarriedBody(),
    answer=ProxiedCallSettled(),
    refusals=(Code.RESERVATION_NOT_FOUND,),
)
def settled(body: Callable[[int], Any]) -> HttpResponse:  # noqa: ARG001 - read in pieces
    """Charge the usage in the upstream's answer.

    If the answer contains no usage, the reserved amounts are charged, and `reason` says why. If the upstream failed,
    nothing is charged, and the reservation is released. The body is the answer as the proxy received it: JSON or an
    event stream. X-Upstream-Status may be left out. A repeated or late request is not an error.
    """
    request = the_request()
    reservation_id = request.environ.get("HTTP_X_RESERVATION_ID", "").strip()
    if not reservation_id:
        raise InvalidRequest(NO_ID, param="X-Reservation-Id", code=Code.INVALID_PARAMETER)
    status = _status(request.environ.get("HTTP_X_UPSTREAM_STATUS", "").strip())
    service = governance()
    reader = AnswerReader(request.environ.get("CONTENT_TYPE", ""), service.settings.gateway_body_mb * 1024 * 1024)
    for piece in bodies.pieces(request, reader.note_fault):
        reader.feed(piece)
    ended = service.proxied_calls.settle(reservation_id, status, reader.end())
    told = {
        "reservation": decisions.reservation(ended.reservation),
        "charged": ended.charged,
        "reason": ended.reason,
    }
    return answer(told | {"warnings": settle_warnings(ended.reservation)} if ended.is_unpriced else told)


def _status(told: str) -> int | None:
    """Return the upstream's status. Return None if it was not sent. Raises InvalidRequest."""
    if told and not (told.isascii() and told.isdigit() and len(told) == 3):  # noqa: PLR2004
        raise InvalidRequest(NO_STATUS, param="X-Upstream-Status", code=Code.INVALID_PARAMETER)
    return int(told) if told else None
