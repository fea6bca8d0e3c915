"""A Flask POST endpoint that checks the API key, parses the body strictly, and returns a fixed response.

Unlike the service, it does not decide whether a call is within its limits. The environment variables `BENCH_ANSWER` and
`BENCH_HEADERS` contain the body and the headers of a response of the service.
"""

import hashlib
import hmac
import os

import orjson
from flask import Flask, Response, request

from governance.domain import strict_json

DIGEST = hashlib.sha256(os.environ["BENCH_KEY"].encode()).hexdigest()
ANSWER = os.environ["BENCH_ANSWER"].encode()
HEADERS = orjson.loads(os.environ["BENCH_HEADERS"])

app = Flask(__name__)


@app.post("/api/governance/reservations")
def reserve() -> Response:
    """Return the fixed response, or status 401 if the API key is wrong."""
    _, _, secret = request.headers["Authorization"].partition(" ")
    if not hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), DIGEST):
        return Response(status=401)
    body = strict_json.read_object(request.get_data(cache=False))
    assert body["model"]  # noqa: S101
    return Response(orjson.dumps(orjson.loads(ANSWER)), headers=HEADERS)
