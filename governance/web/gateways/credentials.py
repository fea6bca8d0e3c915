"""Finds the virtual key that the client sent with a proxied call.

Each provider's clients send keys in a different place.
"""

from collections.abc import Mapping

from governance.domain.errors import Code, Unauthenticated
from governance.services.gateways.proxied_calls import Caller
from governance.services.metering.key_holders import UNKNOWN
from governance.web.http.flask_app import HttpRequest

KEY_HEADERS = ("HTTP_X_API_KEY", "HTTP_API_KEY", "HTTP_X_GOOG_API_KEY", "HTTP_X_BF_VK")
MISSING = (
    "Send your virtual key where you send the provider's key: as 'Authorization: Bearer …', x-api-key, api-key, "
    "x-goog-api-key or x-bf-vk."
)
DIFFERENT = "Send one virtual key: this request has two different ones."


def caller(request: HttpRequest, told: Mapping[str, str], *, is_anonymous_allowed: bool) -> Caller:
    """Return who makes a call. The user is used only if it comes from the proxy itself. Raises Unauthenticated."""
    environ = request.environ
    scheme, _, bearer = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    sent = {environ.get(name, "").strip() for name in KEY_HEADERS}
    sent |= {bearer.strip() if scheme.lower() == "bearer" else ""}
    sent.discard("")
    if len(sent) > 1:
        raise Unauthenticated(DIFFERENT, code=Code.INVALID_VIRTUAL_KEY)
    if not sent and not is_anonymous_allowed:
        raise Unauthenticated(MISSING, code=Code.VIRTUAL_KEY_REQUIRED)
    return Caller(next(iter(sent), None), told.get("user"))


def unknown() -> Unauthenticated:
    """Return the error for an unknown virtual key."""
    return Unauthenticated(UNKNOWN, code=Code.INVALID_VIRTUAL_KEY)
