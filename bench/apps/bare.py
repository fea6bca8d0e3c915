"""A WSGI app that answers with given bytes and headers, and does nothing else.

It shows the least that a page can cost. `BENCH_ANSWERS` names a JSON file with the headers and the text of the response
for each path and query.
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
    """Return the response bytes of a path. The request's body is read and ignored."""
    if environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    headers, body = _answers[f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"]
    start_response("200 OK", [*headers])
    return (body,)
