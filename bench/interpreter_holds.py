"""What other threads notice of one that works: how long none of them could run, and how late they answered."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Self

NAP = 0.0005
OFTEN = 0.0001
"""How often a thread may be told to give the interpreter away: what is longer is a single call that could not."""
EVERY = 0.002


class Watch:
    """Sleeps and wakes; the longest time that it overslept is how long the interpreter was held."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._stopping = Event()

    def run(self) -> None:
        """Watch until stopped."""
        while not self._stopping.is_set():
            began = perf_counter()
            sleep(NAP)
            self.longest = max(self.longest, perf_counter() - began - NAP)

    def stop(self) -> None:
        """Watch no longer."""
        self._stopping.set()


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the interpreter while a block runs."""
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
    """Reads every 2 ms; a read that begins late, since another thread had the interpreter, began when it was due."""

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
        """How long the reads took that were under way in any of some spans of time, ascending."""
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
