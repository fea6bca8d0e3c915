"""Finds the virtual key that the client sent with a proxied call.

The clients of different providers send their keys in different headers.
"""

from collections.abc import Mapping

from governance.domain.errors import Code, Unauthenticated
from governance.services.gateways.proxied_calls import Caller
from governance.web.http.flask_app import HttpRequest

KEY_HEADERS = ("HTTP_X_API_KEY", "HTTP_API_KEY", "HTTP_X_GOOG_API_KEY", "HTTP_X_BF_VK")
MISSING = (
    "Send your virtual key where you send the provider's key: as 'Authorization: Bearer …', x-api-key, api-key, "
    "x-goog-api-key or x-bf-vk."
)
DIFFERENT = "Send one virtual key: this request has two different ones."


def caller(request: HttpRequest, told: Mapping[str, str], *, is_anonymous_allowed: bool) -> Caller:
    """Return the virtual key and the user of a call. Raises Unauthenticated.

    The user comes from `told`, which contains the headers that the proxy itself sets.
    """
    return Caller(virtual_key(request, is_needed=not is_anonymous_allowed) or None, told.get("user"))


def virtual_key(request: HttpRequest, *, is_needed: bool = True) -> str:
    """Return the virtual key of a request, or '' if the request has none.

    Raises Unauthenticated if there are different keys, or if `is_needed` is true and there is no key.
    """
    environ = request.environ
    scheme, _, bearer = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    sent = {environ.get(name, "").strip() for name in KEY_HEADERS}
    sent |= {bearer.strip() if scheme.lower() == "bearer" else ""}
    sent.discard("")
    if len(sent) > 1:
        raise Unauthenticated(DIFFERENT, code=Code.INVALID_VIRTUAL_KEY)
    if not sent and is_needed:
        raise Unauthenticated(MISSING, code=Code.VIRTUAL_KEY_REQUIRED)
    return next(iter(sent), "")
