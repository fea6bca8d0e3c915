"""The floor: a WSGI app that answers with the bytes and headers it was given, and does nothing else.

`BENCH_ANSWERS` names a JSON file: for each path, with its query string, the headers and the text of the answer.
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
    """The bytes for a path; what was sent is read and dropped."""
    if environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    headers, body = _answers[f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"]
    start_response("200 OK", [*headers])
    return (body,)
