"""A WSGI app that answers with given bytes and headers, and does nothing else.

It shows the shortest time in which a server can return a page. The environment variable `BENCH_ANSWERS` names a JSON
file. For each path and query string, the file contains the headers and the body of the response.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_answers = {
    path: ([(name, value) for name, value in headers], body.encode())
    for path, (headers, body) in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text("utf-8")).items()
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Return the response for the request's path and query string. The request's body is read and ignored."""
    if environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    headers, body = _answers[f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"]
    start_response("200 OK", [*headers])
    return (body,)
