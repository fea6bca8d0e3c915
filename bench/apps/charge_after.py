"""How most gateways keep a budget: look whether it is used up, make the call, and charge it afterwards.

The algorithm of the gateways in shared memory of one process: the test is of past usage alone, and the charge comes
when the answer is there. One process and a lock around each counter, so that nothing but the algorithm is at fault.
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
    """One call to a model of some milliseconds: 200 where it was let pass, 402 where the budget was used up."""
    cost = int(orjson.loads(request.get_data())["nanos"])
    with lock:
        if used["nanos"] >= CAP:
            return Response(status=402)
    time.sleep(CALL_SECONDS)
    with lock:
        used["nanos"] += cost
    return Response(b"{}", content_type="application/json")
