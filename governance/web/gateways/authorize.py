"""`/gateway/authorize`: decides whether a proxy may forward a call to a model."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint
from werkzeug.exceptions import HTTPException

from governance.container import governance
from governance.domain.errors import Code, GovernanceError
from governance.domain.gateways.model_call import ModelCall
from governance.domain.keys import KeyScope
from governance.domain.limits import money
from governance.domain.metering.decision import Decision
from governance.services.gateways.proxied_calls import Caller
from governance.services.metering import key_holders
from governance.web.gateways import credentials, model_calls, refusals, trusted_headers
from governance.web.gateways.bodies import ReadBody
from governance.web.gateways.options import USUAL, GatewayOptions
from governance.web.gateways.rate_limit_headers import rate_limit
from governance.web.http.answers import Header
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import NOT_OURS, operation
from schemas.gateways.authorize import AuthorizeQuery, CarriedBody
from schemas.metering.denials import refusal

blueprint = Blueprint("gateways", __name__, url_prefix="/gateway")

METHODS = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
REFUSED = (
    Code.CALL_UNKNOWN,
    Code.VIRTUAL_KEY_REQUIRED,
    Code.INVALID_VIRTUAL_KEY,
    Code.VIRTUAL_KEY_INACTIVE,
    Code.VIRTUAL_KEY_EXPIRED,
    Code.BUDGET_EXCEEDED,
    Code.REQUEST_LIMITED,
    Code.TOKEN_LIMITED,
    Code.RATE_LIMITED,
    Code.PRICE_UNKNOWN,
)


@blueprint.route("/authorize", methods=METHODS)
@operation(
    "Authorize a proxied call", scope=KeyScope.METER, query=AuthorizeQuery(), body=CarriedBody(), refusals=REFUSED
)
def authorize(query: Mapping[str, Any], body: ReadBody) -> HttpResponse:
    """Reserve the amounts of a proxied call. The query string of the URL contains the options of the proxy.

    With `trust=uri`, X-Forwarded-Uri contains the call's path.
    """
    return _answered(None, GatewayOptions(**query), body)


@blueprint.route("/authorize/<call:call>", methods=METHODS)
@operation(
    "Authorize a proxied call by its path", scope=KeyScope.METER, query=NOT_OURS, body=CarriedBody(), refusals=REFUSED
)
def authorize_path(call: str, body: ReadBody) -> HttpResponse:
    """Reserve the amounts of a proxied call, without options.

    The part of the path after `/gateway/authorize`, and the query string, are those of the call.
    """
    return _answered(call, USUAL, body)


def _answered(path: str | None, options: GatewayOptions, body: ReadBody) -> HttpResponse:
    service, request = governance(), the_request()
    allowed = service.settings.gateway_anonymous == "allow"
    try:
        told = trusted_headers.told(request, options)
        caller = credentials.caller(request, told, is_anonymous_allowed=allowed)
        asked = model_calls.asked(request, body, path, told, service.settings)
        if asked is None:
            service.proxied_calls.admit_unmetered(caller)
            return _without_body([])
        decision = service.proxied_calls.authorize(caller, asked, settles=options.settles)
        if decision.allowed:
            return _allowed(decision, asked)
        raise _refused(decision, caller, options)
    except (GovernanceError, HTTPException) as error:
        return refusals.response(error, options)


def _allowed(decision: Decision, asked: ModelCall) -> HttpResponse:
    held = decision.reservation
    headers = [("X-Governance-Estimate", "bound" if asked.is_bound else "assumed"), *rate_limit(decision)]
    if held is not None:
        headers += [("X-Reservation-Id", held.id), ("X-Governance-Cost", money.dollars(held.held_cost))]
    return _without_body(headers)


def _without_body(headers: list[Header]) -> HttpResponse:
    """Return a 200 response without a body, and so without a Content-Type."""
    response = HttpResponse(status=200, headers=headers)
    del response.headers["Content-Type"]
    return response


def _refused(decision: Decision, caller: Caller, options: GatewayOptions) -> GovernanceError:
    """Build the error for a refused call.

    Without `detail=full`, it contains figures only of rules on the client's own key or user.
    """
    if decision.key_refusal is not None and decision.key_refusal.code == Code.VIRTUAL_KEY_UNKNOWN:
        return key_holders.unknown(caller.virtual_key)
    return refusal(decision, shows_shared=options.shows_all)
