"""Keeps a budget as most gateways do: check whether it is used up, make the call, then charge it.

The check sees only past usage, because the charge comes after the response. The app has one process and a lock around
each counter, so only this algorithm can cause overspend.
"""

import os
import threading
import time

import orjson
from flask import Flask, Response, request

CAP = int(os.environ["BENCH_CAP"])
CALL_SECONDS = float(os.environ["BENCH_CALL_SECONDS"])

app = Flask(__name__)
lock = threading.Lock()
used = {"nanos": 0}


@app.post("/call")
def call() -> Response:
    """Handle one call that takes some milliseconds.

    Return 200 if it was admitted, and 402 if the budget was used up.
    """
    cost = int(orjson.loads(request.get_data())["nanos"])
    with lock:
        if used["nanos"] >= CAP:
            return Response(status=402)
    time.sleep(CALL_SECONDS)
    with lock:
        used["nanos"] += cost
    return Response(b"{}", content_type="application/json")
