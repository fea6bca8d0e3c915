"""Runs Flask-Limiter on Redis, with two limits that are counted before each call.

It counts no money, and a crash loses its counts. The app authenticates, parses and answers like the app `noop`.
`BENCH_REDIS` is the address of the Redis server.
"""

import os

from flask_limiter import Limiter

from bench.apps.noop import app


def caller() -> str:
    """Return the key under which calls are counted.

    All callers share it, just as all callers share the limits that the benchmark stores in the service.
    """
    return "everybody"


limiter = Limiter(
    caller,
    app=app,
    storage_uri=os.environ["BENCH_REDIS"],
    application_limits=["1000000000 per day", "1000000000 per hour"],
)
