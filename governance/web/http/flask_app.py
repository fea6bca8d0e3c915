"""The Flask app, with a request and an answer of our own where Flask offers a place for them."""

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
"""Of the longest Content-Length that is looked at: whatever is longer is above every bound."""
MAX_BODY = 1024 * 1024
"""Of any request that does not say otherwise, in bytes."""
MOST = "governance.most"
"""Where in its environ a request notes how large its body may be."""


is_async = lru_cache(maxsize=256)(iscoroutinefunction)


class HttpRequest(flask.Request):
    """A request whose body is read whole or not at all."""

    api_key: ApiKey
    """The key that the caller was let in with: there on all paths under `/api`, once it is known to be good."""

    def whole(self, most: int) -> bytes:
        """The body. Raises ClientDisconnected (400) where it ended too early, RequestEntityTooLarge above `most`."""
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
        except (OSError, ParseException) as error:  # gunicorn's errors of a chunk are ParseExceptions
            raise ClientDisconnected from error
        if told and len(found) < size:
            raise ClientDisconnected
        if len(found) > most:
            raise RequestEntityTooLarge
        return found


class HttpResponse(flask.Response):
    """An answer. One with `direct_passthrough` is sent as it is: its headers are whole, and its body is bytes."""

    validity: Validity | None = None
    """For how long a page from memory may be given again; None where it may not."""

    def get_wsgi_response(self, environ: WSGIEnvironment) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Return body, status and headers, with those that every response has.

        werkzeug copies the headers and looks for some that need a change.
        """
        if self.direct_passthrough and self.status_code == HTTPStatus.OK and environ["REQUEST_METHOD"] != "HEAD":
            body, status, headers = self.response, self.status, self.headers.to_wsgi_list()
        else:
            body, status, headers = super().get_wsgi_response(environ)
        own = environ.get(ID) or request_id(environ)
        return body, status, [*headers, NO_SNIFFING, (REQUEST_ID, own)]  # type: ignore[return-value]


class App(flask.Flask):
    """The app."""

    request_class = HttpRequest
    response_class = HttpResponse

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without `await`. Flask asks four times with each request."""
        return super().ensure_sync(func) if is_async(func) else func
