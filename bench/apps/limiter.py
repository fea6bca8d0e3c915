"""Flask-Limiter on Redis: two limits, counted before each call. It counts no money, and a crash loses its counts.

It authenticates, parses and answers like the app `noop`. `BENCH_REDIS` is the address of the Redis.
"""

import os

from flask_limiter import Limiter

from bench.apps.noop import app


def caller() -> str:
    """Return the key of the limits.

    It is the same for all callers, like the limits that the benchmark stores in the service.
    """
    return "everybody"


limiter = Limiter(
    caller,
    app=app,
    storage_uri=os.environ["BENCH_REDIS"],
    application_limits=["1000000000 per day", "1000000000 per hour"],
)
