"""Builds the responses to refused proxied calls.

OpenAI's and Anthropic's client libraries convert these responses to their own exceptions.
"""

from governance.domain.errors import GovernanceError
from governance.web.gateways.options import GatewayOptions
from governance.web.http import errors
from governance.web.http.flask_app import HttpResponse
from schemas import render

LONGEST_WAIT = 60
"""The longest Retry-After, in seconds, that OpenAI's and Anthropic's client libraries obey.

If Retry-After is longer, these libraries ignore it and try again sooner.
"""
LONGEST_HEADER = 2048
"""The largest number of bytes in X-Governance-Error. By default, nginx accepts 4 KiB for all headers of a response."""


def response(error: Exception, options: GatewayOptions) -> HttpResponse:
    """Return the response to an error.

    With `?deny=403` (for nginx), the status is always 403, and headers contain the real status, the code and the body.
    """
    shaped = errors.handle(error)
    if _is_vain(error):
        shaped.headers["x-should-retry"] = "false"
    return _as_403(shaped) if options.denies_with_403 else shaped


def _is_vain(error: Exception) -> bool:
    """Return whether a client should not repeat the call automatically."""
    if not isinstance(error, GovernanceError) or error.extra.get("decision") != "deny":
        return False
    return error.retry_after is None or error.retry_after > LONGEST_WAIT


def _as_403(shaped: HttpResponse) -> HttpResponse:
    """Return a 403. Its headers contain the status, the code and the whole body on one line of ASCII."""
    found = shaped.get_json()
    line = render.ascii_dumps(found)
    if len(line) > LONGEST_HEADER:
        line = render.ascii_dumps(found | {"extra_fields": {}})
    shaped.headers["X-Governance-Status"] = str(shaped.status_code)
    shaped.headers["X-Governance-Code"] = found["error"]["code"]
    shaped.headers["X-Governance-Error"] = line[:LONGEST_HEADER]
    shaped.status_code = 403
    return shaped
