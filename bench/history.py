"""Measures requests about past usage: a month with a million calls, and a year of sums (`make bench-history`).

The usage belongs to 20 models and 200 virtual keys (keys that identify callers). A bucket contains the usage of one key
and one model in 15 minutes. Each pair of a key and a model has one bucket every three hours. The app runs in this
process. During each request, another thread sends a reservation every 2 ms. A reservation asks whether a call to a
model is within its limits. `held` is the longest time for which one thread held the interpreter lock (the GIL).
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

from flask import Flask

from bench import usage
from bench.in_process import KEY, in_process
from bench.interpreter_holds import Reader, watching
from bench.results import table
from bench.rounds import tell
from bench.usage import CALENDAR, CALLS, DAYS, NOW
from governance.container import Container
from governance.domain.times import DAY, rfc3339
from governance.settings import Settings
from governance.storage.sqlite.files import migrations

KEYS = 200
HEAD = ("question", "rows", "ms", "held, ms", "reserve p99, ms")
MODEL = {"model_name": "*", "budget": {"max_limit": 100, "reset_duration": "1d"}}


class Question(NamedTuple):
    """A request about usage: its name, how to send it, and how to count the rows of its response."""

    name: str
    send: Callable[[Any], Any]
    count: Callable[[Any], int]


class Measured(NamedTuple):
    """The results of one request.

    Times are in seconds. `held` is the longest time for which one thread held the interpreter lock. `beside` is the
    99th percentile of the times of the reservations during the request.
    """

    rows: int
    time: float
    held: float
    beside: float


def main() -> None:
    """Fill a database, measure each request, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the keys, and once each")
    quick = parser.parse_args().quick

    def create(settings: Settings) -> None:
        migrations.upgrade(settings.database_path, settings.busy_timeout)

    def fill(service: Container) -> None:
        usage.fill(service.database, KEYS // 10 if quick else KEYS)

    with TemporaryDirectory(prefix="bench-") as folder, in_process(Path(folder), create, fill) as app:
        client = _client(app)
        alone = _reservations(app)
        with alone:
            _quiet()
        print(f"reservations without a question: p99 {_p99(alone.during([(0, perf_counter())])) * 1000:.1f} ms")
        rows = []
        for question in _questions():
            tell(question.name)
            found = _measure(app, client, question, 1 if quick else 5)
            rows.append((question.name, str(found.rows), *(f"{each * 1000:.1f}" for each in found[1:])))
        print(table(HEAD, rows))


def _questions() -> Iterator[Question]:
    """Yield the requests that a manager would make."""
    days = f"since={rfc3339(CALENDAR.day_of(NOW - DAYS * DAY))}"
    year = f"since={rfc3339(CALENDAR.month_of(NOW - 350 * DAY))}"
    a_day = f"since={rfc3339(NOW - 2 * DAY)}&until={rfc3339(NOW - DAY)}"
    yield _history("30 days by key", f"{days}&group_by=virtual_key&sort_by=cost&limit=100")
    yield _history("30 days by key and day", f"{days}&bucket=day&group_by=virtual_key&limit=100")
    yield _history("a year by month", f"{year}&bucket=month")
    yield _history("a year by month and key", f"{year}&bucket=month&group_by=virtual_key&limit=100")
    yield _history("30 days by key in another zone", f"{days}&timezone=Asia/Kathmandu&group_by=virtual_key&limit=100")
    yield _history("30 days by hour", f"{days}&bucket=hour")
    path = f"/api/governance/usage/history?{a_day}&bucket=15m&group_by=provider,model,virtual_key,user&format=csv"
    yield Question("a day of buckets as CSV", lambda client: client.get(path), lambda got: got.text.count("\n") - 1)
    for name, since in (
        (f"what-if over {CALLS:,} calls", NOW - DAY),
        ("what-if over 30 days of buckets", NOW - DAYS * DAY),
    ):
        body = {"model_config": MODEL, "since": rfc3339(since)}
        yield Question(
            name,
            lambda client, body=body: client.post("/api/governance/what-if", json=body),
            lambda got: int(got.get_json()["calls"]),
        )


def _history(name: str, query: str) -> Question:
    path = f"/api/governance/usage/history?{query}"
    return Question(name, lambda client: client.get(path), lambda got: int(got.get_json()["total_count"]))


def _measure(app: Flask, client: Any, question: Question, times: int) -> Measured:
    """Send a request several times without other load. Then send it once while another thread sends reservations."""
    spent, rows = [], 0
    for _ in range(times):
        began = perf_counter()
        answer = _good(question.send(client))
        rows = question.count(answer)
        spent.append(perf_counter() - began)
    with _reservations(app) as beside, watching() as watch:
        began = perf_counter()
        question.count(question.send(client))
        span = (began, perf_counter())
    return Measured(rows, median(spent), watch.longest, _p99(beside.during([span])))


def _good(answer: Any) -> Any:
    if answer.status != "200 OK":
        raise RuntimeError(answer.text)
    return answer


def _reservations(app: Flask) -> Reader:
    client = _client(app)
    body = {"model": "another", "tokens": 1}
    return Reader(lambda: client.post("/api/governance/reservations", json=body))


def _client(app: Flask) -> Any:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {KEY}"
    return client


def _quiet() -> None:
    ended = perf_counter() + 2
    while perf_counter() < ended:
        sum(range(100))


def _p99(ascending: Sequence[float]) -> float:
    return ascending[int(len(ascending) * 0.99)] if ascending else 0.0


if __name__ == "__main__":
    main()
