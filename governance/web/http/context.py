"""The current request."""

from flask import request

from governance.web.http.flask_app import HttpRequest


def the_request() -> HttpRequest:
    """The current request itself: `flask.request` looks it up for each of its attributes."""
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]
