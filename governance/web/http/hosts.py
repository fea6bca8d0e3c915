"""Any Host is accepted: nothing here depends on it, and werkzeug routes no request whose host is no name of DNS."""

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

NAME = re.compile(r"(?:[^.:]{1,63}\.)*[^.:]{0,63}(?::.*)?", re.DOTALL)
"""What werkzeug can route: labels of 1 to 63 characters, and a port."""


def any_host(flask: WSGIApplication) -> WSGIApplication:
    """The app for every Host: one that is no name is left out, as werkzeug itself does with forbidden characters."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not NAME.fullmatch(environ.get("HTTP_HOST", "")):
            environ["HTTP_HOST"] = ""
        return flask(environ, start_response)

    return answer
