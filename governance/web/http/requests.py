"""What surrounds every request: its id, and one log line where it was refused or failed."""

import re
from random import getrandbits
from time import perf_counter
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, g

from governance.container import Container, governance
from governance.domain.keys import API_KEY_PREFIX, shown_prefix
from governance.services.metering.statistics import authentication_failed, requests_counted
from governance.web.http.context import the_request
from governance.web.http.masking import SECRET, masked
from governance.web.http.peers import forwarded_for, peer

# An id needs no secrecy, and os.urandom gives the interpreter lock away in the middle of every request.
SANE_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
REFUSED = 400
UNAUTHENTICATED = 401
REQUEST_ID = "X-Request-Id"


def surround(app: Flask) -> None:
    """Give every request an id, and log those that did not go well."""
    app.before_request(begin)
    app.after_request(end)


def begin() -> None:
    """Note when the request came, and what it is called."""
    environ = the_request().environ
    environ["governance.began"] = perf_counter()
    environ["governance.request_id"] = request_id(environ)


def request_id(environ: WSGIEnvironment) -> str:
    """A request's id: as its caller says, where that is sane and no key."""
    given: str | None = environ.get("HTTP_X_REQUEST_ID")
    is_sane = given is not None and SANE_ID.fullmatch(given) and not SECRET.search(given)
    return given if given is not None and is_sane else f"{getrandbits(64):016x}"


def end(response: Response) -> Response:
    """Give the answer its id; log a refusal: never a key, a query or a body."""
    request, status = the_request(), response.status_code
    response.headers.add("X-Content-Type-Options", "nosniff")
    response.headers.add(REQUEST_ID, request.environ["governance.request_id"])
    requests_counted(request.endpoint or "none", status).inc()
    if status >= REFUSED:
        _log_refusal(request.environ, request.path, status)
    return response


def _log_refusal(environ: WSGIEnvironment, path: str, status: int) -> None:
    service = governance()
    fields = {
        "method": environ["REQUEST_METHOD"],
        "path": masked(path, service.authentication.is_secret),
        "status": status,
        "code": environ.get("governance.code", ""),
        "request_id": environ["governance.request_id"],
        "ms": round((perf_counter() - environ["governance.began"]) * 1000, 1),
        "peer": peer(environ),
    }
    forwarded = forwarded_for(environ, service.settings.trusted_proxies)
    if forwarded is not None:
        fields["forwarded_for"] = forwarded
    if "api_key" in g:
        service.refusals.write(fields | {"api_key_id": g.api_key.id} | _whose(environ, service))
        return
    if status == UNAUTHENTICATED:
        authentication_failed(fields["code"])
        fields |= _tried(environ)
    service.refusals.write_stranger(fields)


def _whose(environ: WSGIEnvironment, service: Container) -> dict[str, str]:
    """Whose a denied call is, as it says itself."""
    told: dict[str, str | None] = environ.get("governance.whose", {})
    is_secret = service.authentication.is_secret
    return {name: masked(value, is_secret) for name, value in told.items() if value is not None}


def _tried(environ: WSGIEnvironment) -> dict[str, str]:
    """What may be shown of the API key that was tried; nothing of anything else, which may be a password."""
    secret = str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")[2].strip()
    return {"key_prefix": shown_prefix(secret)} if secret.startswith(API_KEY_PREFIX) else {}
