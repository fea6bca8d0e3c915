"""A Flask POST endpoint that authenticates, parses its body strictly, and answers without making a decision.

`BENCH_HEADERS` is a JSON list of the headers that the service sends with such a response.
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
    """Answer as the service does, without making a decision."""
    _, _, secret = request.headers["Authorization"].partition(" ")
    if not hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), DIGEST):
        return Response(status=401)
    body = strict_json.read_object(request.get_data(cache=False))
    assert body["model"]  # noqa: S101
    return Response(orjson.dumps(orjson.loads(ANSWER)), headers=HEADERS)
