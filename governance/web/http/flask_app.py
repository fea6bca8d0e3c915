"""The Flask app with its own request and response classes."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from inspect import iscoroutinefunction
from typing import Any
from wsgiref.types import WSGIEnvironment

import flask
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from governance.domain.keys import ApiKey
from governance.domain.records.list_query import Validity
from governance.web.http.request_ids import ID, NO_SNIFFING, REQUEST_ID, request_id

DIGITS = 12
"""A Content-Length with more digits than this is not parsed, because it exceeds every maximum."""
MAX_BODY = 1024 * 1024
"""The largest number of bytes of a body, unless an endpoint sets another maximum."""
MOST = "governance.most"
"""The key in the environ for the largest number of bytes that the body may have."""


is_async = lru_cache(maxsize=256)(iscoroutinefunction)


class HttpRequest(flask.Request):
    """A request whose body is either read completely or refused."""

    api_key: ApiKey
    """The API key of the caller. It is set after authentication, on all paths under `/api`."""

    def whole(self, most: int) -> bytes:
        """Return the body.

        Raises ClientDisconnected (400) if the body ended too early. Raises RequestEntityTooLarge if it has more than
        `most` bytes.
        """
        self.environ[MOST] = most
        told = self.environ.get("CONTENT_LENGTH")
        size = most + 1
        if told:
            size = int(told) if told.isdecimal() and len(told) <= DIGITS else most + 1
            if size > most:
                raise RequestEntityTooLarge
        elif "HTTP_TRANSFER_ENCODING" not in self.environ:
            return b""
        try:
            found: bytes = self.environ["wsgi.input"].read(size)
        except (OSError, ParseException) as error:  # gunicorn raises ParseException for a malformed chunk
            raise ClientDisconnected from error
        if told and len(found) < size:
            raise ClientDisconnected
        if len(found) > most:
            raise RequestEntityTooLarge
        return found


class HttpResponse(flask.Response):
    """A response. If `direct_passthrough` is true, its headers are complete and its body is a list of bytes."""

    validity: Validity | None = None
    """The time span in which the response cache may send this page again. None if the cache must not send it."""

    def get_wsgi_response(self, environ: WSGIEnvironment) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Return body, status and headers, including the headers that every response has.

        To save time, werkzeug's method is skipped for a complete response. It would copy the headers and correct some
        of them.
        """
        if self.direct_passthrough and self.status_code == HTTPStatus.OK and environ["REQUEST_METHOD"] != "HEAD":
            body, status, headers = self.response, self.status, self.headers.to_wsgi_list()
        else:
            body, status, headers = super().get_wsgi_response(environ)
        own = environ.get(ID) or request_id(environ)
        return body, status, [*headers, NO_SNIFFING, (REQUEST_ID, own)]  # type: ignore[return-value]


class App(flask.Flask):
    """The app with its request and response classes."""

    request_class = HttpRequest
    response_class = HttpResponse

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without `await`.

        Flask calls this method four times in each request, so the result of `is_async` is cached.
        """
        return super().ensure_sync(func) if is_async(func) else func
