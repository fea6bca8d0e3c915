"""The dashboard's sign-in and sign-out, the redirect from `/`, and the page for unknown addresses."""

from flask import Blueprint, make_response, redirect, render_template
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from governance.container import governance
from governance.domain.errors import Forbidden, Unauthenticated
from governance.domain.keys import ApiKey, KeyScope
from governance.services.keys.authentication import authorize
from governance.web.dashboard.core import addresses, sessions
from governance.web.dashboard.core.blueprint import FormRefused, dashboard, received
from governance.web.http import errors
from governance.web.http.client_address import forwarded_for, peer
from governance.web.http.context import the_request

COOKIES = (
    "Allow cookies for this page, and sign in again. Without https, a browser keeps the session's cookie only if you "
    "open the page as http://127.0.0.1 or http://localhost on the machine of the service."
)
THROTTLED = "Wait {} seconds before you sign in: there were ten attempts from your address within a minute."
EMPTY = "Give an API key."
UNKNOWN = "Give an API key that exists and has been neither revoked nor expired. A virtual key cannot sign in."

front = Blueprint("front", __name__)


@front.get("/")
def home() -> Response:
    """Redirect to the dashboard."""
    return redirect("ui", 302)


@dashboard.get("/")
def with_a_slash() -> Response:
    """Redirect to the overview."""
    return redirect("../ui", 302)


@dashboard.get("/sign-in")
def sign_in_form() -> ResponseReturnValue:
    """Show the sign-in form. The form is bound to a cookie, so it is accepted only from the same browser."""
    return _form(200)


@dashboard.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Start a session with an API key that has the scope `read`.

    If the sign-in is refused, show the form with the reason.
    """
    request = the_request()
    wait = governance().sign_in_attempts.wait(_address())
    if wait:
        return *_form(429, THROTTLED.format(wait))[:2], {"Retry-After": str(wait)}
    try:
        received(once=False)  # to record the form needs a database write, and a sign-in must work without one
    except FormRefused as error:
        has_cookie = sessions.VISITOR in request.cookies
        return _form(error.status, error.message if has_cookie else COOKIES)
    secret = request.form.get("key", "").strip()
    try:
        key = _key(secret)
    except (Unauthenticated, Forbidden) as error:
        errors.note_code(error)
        return _form(403, error.message) if isinstance(error, Forbidden) else _form(401, UNKNOWN if secret else EMPTY)
    response = addresses.go_to(request.form.get("next", ""))
    sessions.begin(response, key)
    return response


@dashboard.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session of this browser."""
    sessions.viewer()
    received(once=False)
    response = addresses.go("sign-in")
    sessions.end(response)
    return response


@dashboard.get("/<path:_>")
def unknown_page(**_: str) -> ResponseReturnValue:
    """Show that the page does not exist."""
    sessions.viewer()
    raise NotFound


def _key(secret: str) -> ApiKey:
    """Return the API key for a secret. Raises Unauthenticated, Forbidden."""
    key = governance().authentication.authenticate(secret)
    authorize(key, (KeyScope.READ,))
    return key


def _form(status: int, fault: str | None = None) -> tuple[Response, int]:
    request = the_request()
    following = request.values.get("next", "")
    page = render_template("dashboard/sign_in.html", fault=fault, next=following, **_place_of_admin_key())
    response = make_response(page)
    sessions.meet(response)
    return response, status


def _place_of_admin_key() -> dict[str, str | None]:
    """Return where the operator finds the admin key: the name of its setting, and its file.

    Anybody can see the sign-in page. So the file is named only if it is in the default folder, `instance`.
    """
    settings = governance().settings
    setting = None if settings.admin_key is None else "GOVERNANCE_ADMIN_KEY"
    if settings.admin_key_from_file is not None:
        setting = "GOVERNANCE_ADMIN_KEY_FILE"
    return {"setting": setting, "file": "instance/admin.key" if settings.instance == "instance" else None}


def _address() -> str:
    """Return the client's address from a trusted proxy's header. Otherwise return the address of the peer."""
    environ = the_request().environ
    return forwarded_for(environ, governance().settings.trusted_proxies) or peer(environ)
