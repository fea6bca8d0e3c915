"""Checks the API key and its scope before every request under `/api`, even if the path is unknown.

Requests of proxies, whose paths begin with `/gateway`, are checked too.
"""

from wsgiref.types import WSGIEnvironment

from flask import Flask

from governance.container import EXTENSION, Container
from governance.domain.errors import Code, Unauthenticated
from governance.domain.keys import KeyScope
from governance.services.keys import authentication
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpRequest
from governance.web.http.operation import Operation

ADMIN_ONLY = (KeyScope.ADMIN,)
PROXY_KEY = "HTTP_X_GOVERNANCE_KEY"
"""The header in which a proxy sends its API key. `Authorization` contains the key of the proxy's client."""
NO_PROXY_KEY = (
    "Send the proxy's API key (scope meter) as X-Governance-Key; Authorization is for the client's virtual key."
)
WRONG_PROXY_KEY = f"{NO_PROXY_KEY} The key that was sent is unknown, revoked or expired."


def protect(app: Flask) -> None:
    """Add the check to the app. If it were a hook of a blueprint, it would not run for 404 and 405."""
    service: Container = app.extensions[EXTENSION]

    def authenticate() -> None:
        """Accept a valid key with the scope that the view declares.

        A view that declares no scope is for admin keys.
        """
        request = the_request()
        endpoint, is_proxied = request.endpoint, _is_proxied(request.path)
        if not is_proxied and not f"{request.path}/".startswith("/api/"):
            return
        declared: Operation | None = None
        if endpoint is not None:
            declared = getattr(app.view_functions.get(endpoint), "operation", None)
        if is_proxied and declared is not None and not declared.scopes:
            return
        secret = _proxy_key(request) if is_proxied else _bearer(request)
        try:
            request.api_key = key = service.authentication.authenticate(secret.strip())
        except Unauthenticated:
            if is_proxied:
                raise Unauthenticated(WRONG_PROXY_KEY) from None
            raise
        if endpoint is not None:
            authentication.authorize(key, (declared and declared.scopes) or ADMIN_ONLY)

    app.before_request(authenticate)


def _is_proxied(path: str) -> bool:
    """Return whether a path is for proxies and their clients."""
    return f"{path}/".startswith("/gateway/")


def sent_key(environ: WSGIEnvironment) -> str:
    """Return the API key of a request, from the header in which its path expects the key."""
    if _is_proxied(str(environ.get("PATH_INFO", ""))):
        return str(environ.get(PROXY_KEY, "")).strip()
    return str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")[2].strip()


def _proxy_key(request: HttpRequest) -> str:
    secret = str(request.environ.get(PROXY_KEY, ""))
    if not secret.strip():
        raise Unauthenticated(NO_PROXY_KEY, code=Code.API_KEY_REQUIRED)
    return secret


def _bearer(request: HttpRequest) -> str:
    scheme, _, secret = str(request.environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(authentication.MISSING, code=Code.API_KEY_REQUIRED)
    return secret
