"""The floor: a WSGI app that answers with bytes it was given, and does nothing else.

`BENCH_ANSWERS` names a JSON file: a text body for each path, with its query string.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_answers = {
    path: body.encode() for path, body in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text("utf-8")).items()
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The bytes for a path; what was sent is read and dropped."""
    if environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    body = _answers[f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"]
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return (body,)
