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
from werkzeug.routing import MapAdapter

DIGITS = 6
"""Of a length that is under the bound of any body."""
BODILESS = (204, 304)


class Request(flask.Request):
    """A request whose body is wanted whole."""

    def whole(self) -> bytes:
        """The body: at once where its length is told and all of it comes, a sixth of the time that werkzeug takes."""
        told = self.environ.get("CONTENT_LENGTH", "")
        if told.isdecimal() and len(told) <= DIGITS:
            found: bytes = self.environ["wsgi.input"].read(int(told))
            if len(found) == int(told):
                return found
        return self.get_data(cache=False)

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
