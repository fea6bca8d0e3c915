"""Times the operations of a worker on its snapshot, inside the worker's process. All figures are in seconds.

The snapshot is the copy of the database's rows that a worker keeps in its memory. A poll reads what has changed in the
database into the snapshot.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter, sleep
from typing import NamedTuple

from bench.interpreter_holds import Reader, watching
from bench.worker import CHANGES, DEPTHS, TOGETHER, Worker, edited, used

FRESH, SEARCH = "a page nobody has asked for yet", "a new search each time"
QUERIES: dict[str, Callable[[Worker], str]] = {
    FRESH: lambda worker: f"offset={worker.depth()}",
    "first page": lambda _: "offset=0",
    "deep page (80 %)": lambda worker: f"offset={worker.size * 8 // 10}",
    f"pages at {DEPTHS} depths in turn": lambda worker: f"offset={worker.depth()}",
    "scope": lambda _: "scope=virtual_key",
    "scope_id, 10 to a page": lambda _: "scope_id=user-3&limit=10",
    "provider": lambda _: "provider=openai",
    "sort_by=model_name": lambda _: "sort_by=model_name",
    "sort_by=usage": lambda _: "sort_by=usage",
    SEARCH: lambda worker: f"search=-{worker.number()}",
}
"""The query strings, by name.

The first query is sent only once for each offset, because a page is new only the first time. The query with `scope_id`
asks for 10 limits instead of 25. In the database with 1,000 limits, the user has only 13 limits.
"""
ENOUGH, LEAST = 1.0, 2
"""An operation is no longer repeated after `ENOUGH` seconds, but it runs at least `LEAST` times."""


class Times(NamedTuple):
    """The times of an operation in seconds: the first, the median of the others, and the longest of the others."""

    first: float
    middle: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        """Return the summary of the times of a repeated operation."""
        first, *others = seconds
        return cls(first, median(others), max(others))


class Reads(NamedTuple):
    """The number of reads, and the median, the 99th percentile and the maximum of their times."""

    number: int
    middle: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Reads":
        """Return the summary of the times of reads, which are given in ascending order."""
        return cls(len(seconds), median(seconds), seconds[int(0.99 * (len(seconds) - 1))], seconds[-1])


def repeated(act: Callable[[], float], times: int) -> list[float]:
    """Repeat an operation. Return the seconds of each run. Slow operations run fewer than `times` times."""
    found: list[float] = []
    until = perf_counter() + ENOUGH
    while len(found) < LEAST or (len(found) < times and perf_counter() < until):
        found.append(act())
    return found


def loaded(worker: Worker) -> float:
    """Return the seconds that the first load of the snapshot took."""
    return worker.loaded_in


def idle(worker: Worker, times: int) -> list[float]:
    """Time polls that find no change."""
    return repeated(worker.poll, times)


def asked(worker: Worker, name: str, times: int) -> list[float]:
    """Time several requests with the query `name` of `QUERIES`."""
    return repeated(lambda: worker.ask(QUERIES[name](worker)), times)


def followed(worker: Worker, name: str, times: int) -> list[float]:
    """Time polls that each find 100 changed limits. `name` says how the limits were changed (see `CHANGES`)."""

    def poll() -> float:
        before = worker.service.cache.get().snapshot
        worker.changed(CHANGES[name])
        seconds = worker.poll()
        if worker.service.cache.get().snapshot is before:
            raise ValueError(f"a poll has not seen what was {name}")
        return seconds

    return [poll() for _ in range(times)]


def held(worker: Worker, times: int) -> dict[str, float]:
    """Return, by name of the operation, the longest time for which no other thread could run during that operation.

    Each operation runs several times, and its value is the median of the runs.
    """
    acts: dict[str, tuple[str, Callable[[], object]]] = {
        **{f"a poll, {TOGETHER} {name}": (name, worker.poll) for name in CHANGES},
        "a new filter": ("", lambda: worker.ask(f"provider=openai&scope_id=user-{worker.number() % 20}")),
        "a new search": ("", lambda: worker.ask(f"search=-{worker.number()}")),
        "a page by usage": ("used", lambda: worker.poll() + worker.ask("sort_by=usage")),
    }
    return {name: median(_held(worker, *act) for _ in range(times)) for name, act in acts.items()}


def _held(worker: Worker, change: str, act: Callable[[], object]) -> float:
    if change:
        worker.changed(CHANGES[change])
    with watching() as watch:
        act()
    return watch.longest


def read_quietly(worker: Worker, times: int) -> Reads:
    """Time reads while no other work runs."""
    return _read(worker, times, lambda: sleep(0.1))


def read_during_refreshes(worker: Worker, times: int) -> Reads:
    """Time the reads that run during polls. The polls find limits that were edited, and limits with new usage."""
    return _read(worker, times, worker.poll)


def _read(worker: Worker, times: int, meanwhile: Callable[[], object]) -> Reads:
    spans = []
    with Reader(lambda: worker.ask(f"offset={worker.depth()}")) as reader:
        for _ in range(times):
            for name in (edited.__name__, used.__name__):
                worker.changed(CHANGES[name])
            sleep(0.05)
            began = perf_counter()
            meanwhile()
            spans.append((began, perf_counter()))
            sleep(0.02)  # wait for the running reads before the next change
    return Reads.of(reader.during(spans))
