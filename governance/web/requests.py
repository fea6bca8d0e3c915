"""What surrounds every request: its id, and one log line where it was refused or failed."""

import logging
import re
from random import getrandbits
from time import perf_counter
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response

from governance.services.statistics import requests_counted
from governance.web.context import the_request

logger = logging.getLogger("governance.requests")

# An id needs no secrecy, and os.urandom gives the interpreter lock away in the middle of every request.
SANE_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
REFUSED = 400


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
    """A request's id: as its caller says, where that is sane."""
    given: str | None = environ.get("HTTP_X_REQUEST_ID")
    return given if given is not None and SANE_ID.fullmatch(given) else f"{getrandbits(64):016x}"


def end(response: Response) -> Response:
    """Give the answer its id; log a refusal: never a key, a query or a body."""
    request, status = the_request(), response.status_code
    request_id = request.environ["governance.request_id"]
    response.headers.add("X-Content-Type-Options", "nosniff")
    response.headers.add("X-Request-Id", request_id)
    requests_counted(request.endpoint or "none", status).inc()
    if status >= REFUSED:
        elapsed = perf_counter() - request.environ["governance.began"]
        fields = {
            "method": request.method,
            "path": request.path,
            "status": status,
            "code": request.environ.get("governance.code", ""),
            "request_id": request_id,
            "ms": round(elapsed * 1000, 1),
        }
        logger.log(logging.ERROR if status == 500 else logging.INFO, "refused", extra={"fields": fields})  # noqa: PLR2004
    return response
