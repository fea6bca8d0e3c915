"""Runs the service inside this process, and calls it as gunicorn does, to measure the work on its snapshot.

The snapshot is the copy of the database's rows that a worker keeps in its memory. A poll reads what has changed in the
database into the snapshot.
"""

import gc
import io
import random
import time
from collections.abc import Callable, Sequence
from itertools import count, cycle
from pathlib import Path
from time import perf_counter
from typing import Any
from wsgiref.types import WSGIEnvironment

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from app import create_app
from bench import data
from governance.container import EXTENSION, Container
from governance.settings import Settings
from governance.startup import tune
from governance.storage import revisions
from governance.storage.limits import writes
from governance.storage.limits.counters import touch
from governance.storage.tables import counters, model_limits, rules

KEY = "gov-the-key-of-the-bench-0123456789abcdef"
TOGETHER = 100
PAGE, DEPTHS = 25, 40
Change = Callable[[Connection, Sequence[str]], None]


class Worker:
    """The app of one worker, on a database of a given size. Its snapshot is loaded when the object is created."""

    def __init__(self, folder: Path, size: int) -> None:
        tune()
        self.size = size
        self.app = create_app(Settings(instance=str(folder), admin_key=KEY))
        self.service: Container = self.app.extensions[EXTENSION]
        self._chance = random.Random(size)
        self._numbers = count()
        self._depths = cycle(range(0, size - PAGE, max(PAGE, size // DEPTHS)))
        began = perf_counter()
        self.service.cache.refresh()
        self.loaded_in = perf_counter() - began
        self.poll()

    def poll(self) -> float:
        """Poll once. Return the seconds that the poll took."""
        began = perf_counter()
        self.service.poller.poll()
        return perf_counter() - began

    def ask(self, query: str) -> float:
        """Send a request for a page, which no cache can answer. Return the seconds that the request took."""
        environ = self._environ(query)
        began = perf_counter()
        b"".join(self.app.wsgi_app(environ, _good))
        return perf_counter() - began

    def changed(self, change: Change) -> None:
        """Change 100 limits that have usage, as another process would.

        The snapshot contains this change only after the next poll.
        """
        entries = self.service.cache.get().snapshot.entries.items()
        in_use = sorted(limit_id for limit_id, entry in entries if any(each and each.used for each in entry.counters))
        with self.service.database.write() as connection:
            change(connection, self._chance.sample(in_use, TOGETHER))
        gc.collect()  # in a real worker, another process makes the change, so the worker has no garbage from it

    def number(self) -> int:
        """Return a different number at each call."""
        return next(self._numbers)

    def depth(self) -> int:
        """Return the next of 40 offsets. They are spread over the whole list, and repeat after the last one."""
        return next(self._depths)

    def _environ(self, query: str) -> WSGIEnvironment:
        return {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/api/governance/model-configs",
            "QUERY_STRING": f"from_memory=true&{query}",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {KEY}",
            "HTTP_IF_NONE_MATCH": f'"{self.number()}"',
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }


def _good(status: str, _headers: object, _error: object = None) -> Any:
    if not status.startswith("200"):
        raise ValueError(f"a page from memory was answered with {status}")


def edited(connection: Connection, ids: Sequence[str]) -> None:
    """Raise the maximums of the limits' budgets, in one write."""
    revision = revisions.advance(connection)
    moved = update(model_limits).where(model_limits.c.id.in_(ids))
    connection.execute(moved.values(revision=revision, version=model_limits.c.version + 1))
    raised = update(rules).where(rules.c.model_limit_id.in_(ids), rules.c.metric == "cost")
    connection.execute(raised.values(max_limit=rules.c.max_limit + data.LEAST_SHOWN))


def used(connection: Connection, ids: Sequence[str]) -> None:
    """Add usage to the limits, as the service does after a call to a model."""
    at = touch(connection, time.time_ns() // 1000)
    for limit_id in ids:
        own = rules.c.model_limit_id == limit_id
        row = select(counters.c.id).join(rules).where(own).limit(1)
        more = update(counters).where(counters.c.id == row.scalar_subquery())
        connection.execute(more.values(used=counters.c.used + 1, touched_at=at))


def added(connection: Connection, ids: Sequence[str]) -> None:
    """Add new limits, as many as there are `ids`."""
    now, chance = time.time_ns() // 1000, random.Random(ids[0])
    numbers = (chance.randrange(10**9, 10**12) for _ in ids)
    data.add(connection, [data.limit(number, now, chance) for number in numbers], revisions.advance(connection))


def removed(connection: Connection, ids: Sequence[str]) -> None:
    """Delete limits."""
    writes.remove(connection, ids, revisions.advance(connection))


CHANGES: dict[str, Change] = {"edited": edited, "used": used, "added": added, "removed": removed}
