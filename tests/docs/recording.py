"""Records the complete requests and responses of a page's examples. They are the examples of the OpenAPI document."""

import json
import re
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from flask import Flask

from tests.docs.examples import SECRET

SHOWN = 12
"""The number of characters of a secret that are shown."""


class Recorder:
    """A WSGI app that keeps the first successful call of each operation."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.calls: dict[str, dict[str, Any]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Return the response of the app."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        statuses: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            statuses.append(status)
            return start_response(status, headers, *rest)

        answer = b"".join(self.app(environ | {"wsgi.input": BytesIO(body)}, start))
        if statuses[0].startswith("200"):
            endpoint, _ = self.app.url_map.bind("").match(environ["PATH_INFO"], environ["REQUEST_METHOD"])
            if answer.startswith(b"{") and endpoint != "ops.openapi_json":
                call = {"request": _shown(body), "response": _shown(answer)} if body else {"response": _shown(answer)}
                self.calls.setdefault(endpoint.rpartition(".")[2], call)
        return [answer]


def _shown(body: bytes) -> Any:
    return json.loads(re.sub(SECRET, lambda found: f"{found[0][:SHOWN]}…", body.decode()))
