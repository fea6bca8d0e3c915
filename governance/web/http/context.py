"""The current request."""

from flask import request

from governance.web.http.flask_app import HttpRequest


def the_request() -> HttpRequest:
    """Return the current request. The proxy `flask.request` looks up the request again for each attribute."""
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]
