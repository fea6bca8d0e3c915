"""WSGI middleware: gives each request an id, and adds the id to its response.

If the Host header is malformed, the middleware makes it empty.
"""

import re
from collections.abc import Iterable
from random import getrandbits
from time import perf_counter
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from governance.web.http.masking import SECRET

# An id is not secret, so `getrandbits` makes it. os.urandom would be slower, because it releases the interpreter lock.
SANE_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
REQUEST_ID = "X-Request-Id"
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
HOST = re.compile(r"(?:[^.:]{1,63}\.)*[^.:]{0,63}(?::.*)?", re.DOTALL)
"""The Host headers that werkzeug can route: labels of at most 63 characters, and a port."""
BEGAN, ID = "governance.began", "governance.request_id"
"""The keys in the environ for the start of a request (`perf_counter`, seconds) and for its id."""


def request_id(environ: WSGIEnvironment) -> str:
    """Return X-Request-Id if it is well-formed and contains no secret. Otherwise return a random id."""
    given: str | None = environ.get("HTTP_X_REQUEST_ID")
    is_sane = given is not None and SANE_ID.fullmatch(given) and not SECRET.search(given)
    return given if given is not None and is_sane else f"{getrandbits(64):016x}"


def identified(flask: WSGIApplication) -> WSGIApplication:
    """Return a WSGI app that gives each request an id, and then calls the given app.

    A Host header that is not a DNS name becomes empty, because werkzeug does not route requests with such a header. No
    response depends on the Host header.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[BEGAN], environ[ID] = perf_counter(), request_id(environ)
        if not HOST.fullmatch(environ.get("HTTP_HOST", "")):
            environ["HTTP_HOST"] = ""
        return flask(environ, start_response)

    return answer
