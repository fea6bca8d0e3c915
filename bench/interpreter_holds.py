"""Measures how long one thread holds the interpreter lock (the GIL), and how much this delays other threads."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Self

NAP = 0.0005
OFTEN = 0.0001
"""The interpreter's switch interval in seconds, during a measurement.

A thread holds the lock longer than this only during a single operation that cannot be interrupted, such as a long sort.
"""
EVERY = 0.002


class Watch:
    """Sleeps repeatedly, and measures how late it wakes.

    The longest delay (`longest`, in seconds) is the longest time for which another thread held the interpreter lock.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._stopping = Event()

    def run(self) -> None:
        """Measure until `stop` is called."""
        while not self._stopping.is_set():
            began = perf_counter()
            sleep(NAP)
            self.longest = max(self.longest, perf_counter() - began - NAP)

    def stop(self) -> None:
        """Stop the measurement."""
        self._stopping.set()


@contextmanager
def watching() -> Iterator[Watch]:
    """Yield a `Watch` that measures during the `with` block."""
    watch, usual = Watch(), sys.getswitchinterval()
    thread = Thread(target=watch.run, daemon=True)
    sys.setswitchinterval(OFTEN)
    thread.start()
    try:
        yield watch
    finally:
        sys.setswitchinterval(usual)
        watch.stop()
        thread.join()


class Reader:
    """Calls `read` every 2 ms.

    The time of a read begins when the read is due, even if another thread delays its start.
    """

    def __init__(self, read: Callable[[], object]) -> None:
        self.reads: list[tuple[float, float]] = []
        self._read = read
        self._stopping = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def during(self, spans: list[tuple[float, float]]) -> list[float]:
        """Return the times of the reads that ran during any of these time spans, in ascending order."""
        inside = ((due, ended) for due, ended in self.reads if any(due < end and ended > begin for begin, end in spans))
        return sorted(ended - due for due, ended in inside)

    def _run(self) -> None:
        due = perf_counter()
        while not self._stopping.is_set():
            sleep(max(0.0, due - perf_counter()))
            self._read()
            now = perf_counter()
            self.reads.append((due, now))
            due = max(due + EVERY, now)
