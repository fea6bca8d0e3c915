"""Sessions: a signed cookie with the id of an API key, and tokens that prove that a form came from this service.

The cookies have no Path attribute, and they are set only under `/ui/`. So the browser sends them only to addresses
under `/ui/`, and never to `/api`. This also works behind a proxy that adds a path prefix.
"""

import re
from hashlib import sha256
from ipaddress import ip_address
from secrets import token_urlsafe
from typing import Any, NamedTuple

from flask import g
from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from governance.container import governance
from governance.domain.errors import Code, Unauthenticated
from governance.domain.keys import ApiKey, KeyScope, digest
from governance.services.keys.authentication import ADMIN
from governance.services.keys.sessions import SESSION_HOURS
from governance.web.http.client_address import peer
from governance.web.http.context import the_request

SESSION = "governance_session"
VISITOR = "governance_visitor"
"""The cookie of a browser that is not signed in yet. The token in the sign-in form is bound to it."""
PORT = re.compile(r":[0-9]*\Z")
LIFETIME = SESSION_HOURS * 3600
ENDED = "Sign in again: the session has ended, or its API key was revoked or has expired."
NO_SESSION = "Sign in with an API key."


class Viewer(NamedTuple):
    """The viewer of a page, identified by an API key."""

    key: ApiKey

    def may(self, scope: str) -> bool:
        """Return whether the viewer's key includes a scope."""
        return self.key.may(KeyScope(scope))


class ClockedSigner(TimestampSigner):
    """Signs text together with the time of the service's clock."""

    def get_timestamp(self) -> int:
        """Return the time in seconds."""
        return governance().sessions.now()


def viewer() -> Viewer:
    """Return the viewer of the page. Raises Unauthenticated. Raises Unavailable if the database does not answer."""
    if "viewer" not in g:
        cookie = the_request().cookies.get(SESSION)
        if not cookie:
            raise Unauthenticated(NO_SESSION, code=Code.API_KEY_REQUIRED)
        key_id = _key_id(cookie)
        key = None if key_id is None else governance().authentication.by_id(key_id)
        if key is None:
            raise Unauthenticated(ENDED)
        g.viewer = Viewer(key)
        the_request().api_key = key
    found: Viewer = g.viewer
    return found


def is_signed_in() -> bool:
    """Return whether the viewer was already found in this request. This does not access the database."""
    return "viewer" in g


def begin(response: Response, key: ApiKey) -> None:
    """Start a session for a key."""
    (serializer,) = [each for is_admin, each in _serializers() if is_admin == (key.id == ADMIN.id)]
    _set_cookie(response, SESSION, str(serializer.dumps(key.id)), LIFETIME)
    response.delete_cookie(VISITOR, path=None)


def end(response: Response) -> None:
    """End the session of this browser."""
    response.delete_cookie(SESSION, path=None)


def meet(response: Response) -> None:
    """Set the cookie `VISITOR`, to which the sign-in form is bound, if the browser does not have the cookie."""
    if VISITOR not in the_request().cookies:
        _set_cookie(response, VISITOR, _visitor(), None)


def form_token() -> str:
    """Return a token for one form of this browser. Each token is accepted only once."""
    return str(_forms().dumps([_binding(), token_urlsafe(12)]))


def form_id(token: str) -> str | None:
    """Return the id of a form from its token.

    Return None if the token has expired, or does not belong to this service and this browser.
    """
    try:
        binding, found = _forms().loads(token, max_age=LIFETIME)
    except (BadSignature, ValueError, TypeError):
        return None
    return str(found) if binding == _binding() else None


def is_loopback() -> bool:
    """Return whether the browser is on this machine without a proxy in between. Then cookies need no TLS."""
    request = the_request()
    forwarded = any(name.startswith(("HTTP_X_FORWARDED_", "HTTP_FORWARDED")) for name in request.environ)
    name = PORT.sub("", request.host).strip("[]")
    return not forwarded and _is_local(peer(request.environ)) and (name == "localhost" or _is_local(name))


def _is_local(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _set_cookie(response: Response, name: str, value: str, max_age: int | None) -> None:
    secure = not is_loopback()
    response.set_cookie(name, value, max_age, path=None, secure=secure, httponly=True, samesite="Strict")


def _key_id(cookie: str) -> str | None:
    """Return the id of the API key in a session cookie.

    Return None if the cookie has no valid signature, or if it is older than the longest session.
    """
    for is_admin, serializer in _serializers():
        try:
            found = str(serializer.loads(cookie, max_age=LIFETIME))
        except BadSignature:
            continue
        return found if is_admin == (found == ADMIN.id) else None
    return None


def _serializers() -> list[tuple[bool, URLSafeTimedSerializer]]:
    """Return the serializers for session cookies. The boolean of each pair is true for the admin key of the settings.

    The first serializer is for stored API keys. The second one exists only if the settings contain an admin key. It
    depends on the value of the admin key. So all sessions of the admin key end when its value changes.
    """
    admin_key = governance().settings.admin_key
    found = [(False, _signed("session"))]
    return found if admin_key is None else [*found, (True, _signed(f"session of {digest(admin_key)}"))]


def _forms() -> URLSafeTimedSerializer:
    return _signed("form")


def _signed(salt: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(governance().sessions.secret(), salt=salt, signer=ClockedSigner)


def _binding() -> str:
    """Return the digest of the cookie to which a form is bound: the session cookie, or `VISITOR` before the sign-in."""
    cookies = the_request().cookies
    bound = cookies.get(SESSION) if is_signed_in() else cookies.get(VISITOR) or _visitor()
    return sha256((bound or "").encode()).hexdigest()[:32]


def _visitor() -> str:
    """Return a random value for the cookie `VISITOR`. The value is the same during the whole request."""
    if "visitor" not in g:
        g.visitor = token_urlsafe(24)
    value: Any = g.visitor
    return str(value)
