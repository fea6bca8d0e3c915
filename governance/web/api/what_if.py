"""`/api/governance/what-if`: returns how many past calls a new limit would have refused."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from governance.container import governance
from governance.domain.errors import Code, Fault, InvalidRequest
from governance.domain.keys import KeyScope
from governance.web.http.answers import answer
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas.history import what_if
from schemas.responses.what_if import WhatIfShown

blueprint = Blueprint("what_if", __name__, url_prefix="/api/governance")

OWN = ("since", "until")
"""The fields of the body that do not belong to the limit."""


@blueprint.post("/what-if")
@operation(
    "Ask what a limit would have done",
    scope=KeyScope.READ,
    body=what_if.WhatIfBody(),
    answer=WhatIfShown(),
    refusals=(Code.RESOLUTION_UNAVAILABLE,),
)
def ask_what_if(body: Mapping[str, Any]) -> HttpResponse:
    """Replay the calls of a time span against a limit that is not stored.

    Return how many calls the limit would have refused, whose calls these are, and when it would have refused the first
    call.
    """
    try:
        answered = governance().what_ifs.ask(body["model_config"], body.get("since"), body.get("until"))
    except InvalidRequest as error:
        raise InvalidRequest.of([_named(fault) for fault in error.faults]) from error
    return answer(what_if.answer(*answered))


def _named(fault: Fault) -> Fault:
    """Put `model_config.` before the field name of a fault in the limit. In the body, this field contains the limit."""
    return fault if fault.param in OWN else fault._replace(param=f"model_config.{fault.param}")
