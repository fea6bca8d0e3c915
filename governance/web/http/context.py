"""Gives access to the current request."""

from flask import request

from governance.web.http.flask_app import HttpRequest


def the_request() -> HttpRequest:
    """Return the current request itself.

    `flask.request` is a proxy object, which looks up the request again at each access to an attribute.
    """
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]
