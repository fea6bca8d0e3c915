"""The blueprint of the dashboard: who may see a page, how pages are protected, and how errors are shown.

All hooks belong to the blueprint, so none of them runs for a request to the API.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from governance import __version__
from governance.container import governance
from governance.domain.errors import GovernanceError, Unauthenticated
from governance.domain.keys import KeyScope
from governance.services.actor import acting_as
from governance.services.keys.authentication import authorize
from governance.web.dashboard.core import addresses, formats, sessions
from governance.web.dashboard.core.navigation import NAVIGATION
from governance.web.http import errors
from governance.web.http.answers import NEVER_STORED
from governance.web.http.context import the_request

View = Callable[..., ResponseReturnValue]

dashboard = Blueprint("dashboard", __name__, url_prefix=addresses.ROOT, template_folder="../templates")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page.

It allows only scripts and styles that this service sends as files. Inline scripts and styles are not allowed.
"""
PROTECTION = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
FORGED = (
    "Open the page again and repeat what you did: this form was not made for your session, or is older than it. "
    "Nothing was changed."
)
REPLAYED = "This form was sent before, and was not taken a second time. Open the page to see what it did."
UNKNOWN_PAGE = "There is no such page. The navigation has all pages."


class FormRefused(Exception):
    """A form was forged or sent twice. `status` is the HTTP status of the response."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def shows(address: str, scope: KeyScope = KeyScope.READ) -> Callable[[View], View]:
    """Return a decorator that adds a view as a page at an address. Only keys with the scope may read the page."""

    def declare(view: View) -> View:
        @wraps(view)
        def page(**arguments: Any) -> ResponseReturnValue:
            authorize(sessions.viewer().key, (scope,))
            return view(**arguments)

        dashboard.get(_rule(address), endpoint=view.__name__)(page)
        return view

    return declare


def acts(address: str, scope: KeyScope = KeyScope.WRITE) -> Callable[[View], View]:
    """Return a decorator that adds a view for the form at an address. Only keys with the scope may send the form.

    The view is called with the form's fields if the form came from this service and was not sent before.
    """

    def declare(view: View) -> View:
        @wraps(view)
        def act(**arguments: Any) -> ResponseReturnValue:
            key = sessions.viewer().key
            authorize(key, (scope,))
            fields = received()
            with acting_as(f"key:{key.id}"):
                return view(fields, **arguments)

        dashboard.post(_rule(address), endpoint=view.__name__)(act)
        return view

    return declare


def received(*, once: bool = True) -> MultiDict[str, str]:
    """Return the fields of the form in the request.

    Raises FormRefused if the form was forged. If `once` is true, also raises FormRefused if the form was sent before.
    """
    request = the_request()
    form_id = sessions.form_id(request.form.get("form", ""))
    if form_id is None:
        raise FormRefused(FORGED, 403)
    if once and not governance().sessions.take(form_id):
        raise FormRefused(REPLAYED, 409)
    return request.form


def _rule(address: str) -> str:
    return f"/{address}" if address else ""


@dashboard.after_request
def protect(response: Response) -> Response:
    """Add the headers that protect a page and prevent caches from storing it."""
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = NEVER_STORED
    response.headers.update(PROTECTION)
    return response


@dashboard.context_processor
def common() -> dict[str, Any]:
    """Return the values that every template may use."""
    viewer = sessions.viewer() if sessions.is_signed_in() else None
    return {
        "link": addresses.link,
        "again": addresses.again,
        "here": addresses.here,
        "form_token": sessions.form_token,
        "viewer": viewer,
        "navigation": [entry for entry in NAVIGATION if viewer is not None and viewer.may(entry.scope)],
        "page_path": the_request().path.removeprefix(addresses.ROOT).removeprefix("/"),
        "poll_seconds": governance().settings.poll_interval,
        "version": __version__,
        **formats.FUNCTIONS,
    }


@dashboard.errorhandler(Exception)
def show_error(error: Exception) -> ResponseReturnValue:
    """Show an error as a page, with the message and the status that the API would return.

    If a browser requests a page without a session, redirect to the sign-in.
    """
    request = the_request()
    if isinstance(error, FormRefused):
        return _page(error.message, error.status, {})
    if isinstance(error, Unauthenticated) and request.method == "GET" and "HX-Request" not in request.headers:
        return addresses.go("sign-in", next=addresses.here() or None)
    answer = errors.handle(error)
    shown: Any = answer.get_json()
    headers = {name: value for name, value in answer.headers.items() if name in {"Retry-After", "Allow"}}
    return _page(_sentence(error, shown), answer.status_code, headers)


def _sentence(error: Exception, shown: Any) -> str:
    message: str = shown["error"]["message"]
    if isinstance(error, Unauthenticated) and the_request().method == "POST":
        return f"{message} Nothing was changed."
    return (
        message if isinstance(error, GovernanceError) or shown["error"]["code"] != "route_not_found" else UNKNOWN_PAGE
    )


def _page(message: str, status: int, headers: dict[str, str]) -> ResponseReturnValue:
    return render_template("dashboard/error.html", message=message, status=status), status, headers
