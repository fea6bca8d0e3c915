"""An app that keeps a budget as most gateways do: it checks the budget, makes the call, then charges the call.

The check does not see the calls that are still running, because a call is charged after its response. The app has one
process, and a lock protects its counter. So this algorithm alone is the cause if calls spend more than the budget.
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
    """Simulate one call to a model, which takes `CALL_SECONDS`.

    Return status 200 if the call was admitted, and 402 if the budget was used up before the call.
    """
    cost = int(orjson.loads(request.get_data())["nanos"])
    with lock:
        if used["nanos"] >= CAP:
            return Response(status=402)
    time.sleep(CALL_SECONDS)
    with lock:
        used["nanos"] += cost
    return Response(b"{}", content_type="application/json")
