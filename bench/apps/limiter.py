"""Flask-Limiter on Redis: two limits on each call, counted before it; no money, nothing kept through a crash.

It authenticates, parses and answers as the no-op does. `BENCH_REDIS` is the address of the Redis.
"""

import os

from flask_limiter import Limiter

from bench.apps.noop import app


def caller() -> str:
    """Whom the limits count for: everybody, as the limits of the service that apply here."""
    return "everybody"


limiter = Limiter(
    caller,
    app=app,
    storage_uri=os.environ["BENCH_REDIS"],
    application_limits=["1000000000 per day", "1000000000 per hour"],
)
