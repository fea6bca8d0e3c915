"""Who may call: before anything else is looked at, on every path under `/api`, also unknown ones."""

from flask import Flask, g

from governance.container import EXTENSION, Container
from governance.domain.errors import Code, Unauthenticated
from governance.domain.keys import KeyScope
from governance.services.keys import authentication
from governance.web.http import operation
from governance.web.http.context import the_request

ADMIN_ONLY = (KeyScope.ADMIN,)


def protect(app: Flask) -> None:
    """Guard the app. A blueprint's own before_request would not run for 404 and 405."""
    service: Container = app.extensions[EXTENSION]

    def authenticate() -> None:
        """Let a good key with the right scope pass; a view without a declared scope is for admins."""
        request = the_request()
        if not (request.path + "/").startswith("/api/"):
            return
        key = service.authentication.authenticate(_secret(request.environ.get("HTTP_AUTHORIZATION", "")))
        g.api_key = key
        view = app.view_functions.get(request.endpoint or "")
        if view is not None:
            declared = operation.of(view)
            authentication.authorize(key, (declared and declared.scopes) or ADMIN_ONLY)

    app.before_request(authenticate)


def _secret(header: str) -> str:
    scheme, _, secret = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(authentication.MISSING, code=Code.API_KEY_REQUIRED)
    return secret.strip()
