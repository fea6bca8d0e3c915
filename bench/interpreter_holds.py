"""Measures how long one thread holds the interpreter, and how late other threads answer during that time."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Self

NAP = 0.0005
OFTEN = 0.0001
"""The switch interval in seconds.

A thread holds the interpreter longer than this only during a single call that cannot be interrupted.
"""
EVERY = 0.002


class Watch:
    """Sleeps and wakes repeatedly.

    Its longest delay is the longest time for which another thread held the interpreter.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._stopping = Event()

    def run(self) -> None:
        """Watch until `stop` is called."""
        while not self._stopping.is_set():
            began = perf_counter()
            sleep(NAP)
            self.longest = max(self.longest, perf_counter() - began - NAP)

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the interpreter during the block."""
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
    """Reads every 2 ms. The time of a read begins when the read was due, even if another thread delayed its start."""

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
        """Return the durations of the reads that ran in any of these time spans, ascending."""
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
