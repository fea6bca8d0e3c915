"""The current request."""

from flask import request

from governance.web.http.flask_app import Request


def the_request() -> Request:
    """The current request itself: `flask.request` looks it up for each of its attributes."""
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]
