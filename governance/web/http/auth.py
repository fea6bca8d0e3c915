"""Checks the API key and its scope before every request under `/api`, on unknown paths too."""

from flask import Flask

from governance.container import EXTENSION, Container
from governance.domain.errors import Code, Unauthenticated
from governance.domain.keys import KeyScope
from governance.services.keys import authentication
from governance.web.http.context import the_request
from governance.web.http.operation import Operation

ADMIN_ONLY = (KeyScope.ADMIN,)


def protect(app: Flask) -> None:
    """Add the check to the app. A blueprint's before_request would not run for 404 and 405."""
    service: Container = app.extensions[EXTENSION]

    def authenticate() -> None:
        """Accept a valid key with the scope that the view declares.

        A view without a declared scope is for admin keys.
        """
        request = the_request()
        if not (request.path + "/").startswith("/api/"):
            return
        scheme, _, secret = request.environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(authentication.MISSING, code=Code.API_KEY_REQUIRED)
        request.api_key = key = service.authentication.authenticate(secret.strip())
        endpoint = request.endpoint
        if endpoint is not None:
            declared: Operation | None = getattr(app.view_functions.get(endpoint), "operation", None)
            authentication.authorize(key, (declared and declared.scopes) or ADMIN_ONLY)

    app.before_request(authenticate)
