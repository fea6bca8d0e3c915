"""Flask, less what this service has no use for: sessions, async views, hosts, answers in pieces, blueprints' hooks.

Each costs every request a few microseconds: the hooks and teardowns alone were a third of a health check (50 µs of one
became 34). Only what Flask documents as open to subclasses is overridden, and a test fails where somebody registers
what is left out here.
"""

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import WSGIEnvironment

import flask
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.routing import MapAdapter

DIGITS = 12
"""Of the longest Content-Length that is looked at: whatever is longer is above every bound."""
BODILESS = (204, 304)
MAX_BODY = 1024 * 1024
"""Of any request that does not say otherwise, in bytes."""
MOST = "governance.most"
"""Where in its environ a request notes how large its body may be."""


class Request(flask.Request):
    """A request whose body is read whole or not at all."""

    def whole(self, most: int) -> bytes:
        """The body. Raises ClientDisconnected (400) where it ended too early, RequestEntityTooLarge above `most`."""
        self.environ[MOST] = most
        told = self.environ.get("CONTENT_LENGTH")
        if told:
            length = int(told) if told.isdecimal() and len(told) <= DIGITS else most + 1
            if length > most:
                raise RequestEntityTooLarge
            found = self._read(length)
            if len(found) < length:
                raise ClientDisconnected
            return found
        if "HTTP_TRANSFER_ENCODING" not in self.environ:
            return b""
        found = self._read(most + 1)
        if len(found) > most:
            raise RequestEntityTooLarge
        return found

    def _read(self, size: int) -> bytes:
        try:
            found: bytes = self.environ["wsgi.input"].read(size)
        except (OSError, ParseException) as error:  # gunicorn's errors of a chunk are ParseExceptions
            raise ClientDisconnected from error
        return found

    def close(self) -> None:
        """Nothing: no form was read, so no uploaded file is open."""


class Response(flask.Response):
    """An answer that is whole when it is made, so that WSGI can have it as it is."""

    def get_wsgi_response(self, environ: WSGIEnvironment) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """The body, the status and the headers; werkzeug sees to an answer that may have no body."""
        if environ["REQUEST_METHOD"] == "HEAD" or self.status_code in BODILESS or not isinstance(self.response, list):
            return super().get_wsgi_response(environ)
        return self.response, self.status, self.headers.to_wsgi_list()


class NoSessions(SessionInterface):
    """Callers have keys, not sessions."""

    null_session = NullSession()

    def open_session(self, *_: object) -> SessionMixin:
        """The same for everybody: nothing."""
        return self.null_session

    def is_null_session(self, *_: object) -> bool:
        """Whether there is nothing to save: always."""
        return True


class App(flask.Flask):
    """The app."""

    request_class = Request
    response_class = Response
    session_interface = NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself: none of ours is async."""
        return func

    def preprocess_request(self) -> ResponseReturnValue | None:
        """What stands before every view: the app's own hooks, whichever blueprint the view is of."""
        for hook in self.before_request_funcs[None]:
            answer: ResponseReturnValue | None = hook()  # type: ignore[assignment]
            if answer is not None:
                return answer
        return None

    def process_response(self, response: flask.Response) -> flask.Response:
        """What stands behind every view, likewise; there is no session to save."""
        for hook in self.after_request_funcs[None]:
            response = hook(response)  # type: ignore[assignment]
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Nothing: what a request opens, it closes itself."""

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Nothing: Flask-SQLAlchemy would look for an ORM session, and all statements are Core's."""

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """The routes as a request sees them: its method and path decide, whatever host it was sent to."""
        if request is None:
            return None
        return MapAdapter(self.url_map, "", "/", "", "http", request.path, request.method)
