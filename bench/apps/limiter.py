"""The app of `noop.py` with Flask-Limiter, which checks two limits in Redis before each call.

Flask-Limiter counts no money, and its counts are lost if Redis crashes. After the check, a request is authenticated,
parsed and answered as in `noop.py`. The environment variable `BENCH_REDIS` is the address of the Redis server.
"""

import os

from flask_limiter import Limiter

from bench.apps.noop import app


def caller() -> str:
    """Return the key under which calls are counted.

    All callers share this key, just as all callers share the limits that the benchmark stores in the service.
    """
    return "everybody"


limiter = Limiter(
    caller,
    app=app,
    storage_uri=os.environ["BENCH_REDIS"],
    application_limits=["1000000000 per day", "1000000000 per hour"],
)
