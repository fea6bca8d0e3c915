"""Whose turn it is to write: a queue between all writers of all processes, since SQLite has none.

SQLite's own busy handler sleeps and tries again, and callers starve for seconds under load. An OS file lock wakes the
next one at once, and is free again when its holder dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

OWNER_ONLY = 0o600
LOOK_AGAIN = 0.001


class Turns:
    """The queue before one database file."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.queue")

    @contextmanager
    def turn(self, patience: float | None = None) -> Iterator[None]:
        """Wait for one's turn and keep it for the block. Raises TimeoutError after `patience` seconds, where given.

        Who is patient without end stands in the kernel's queue; the others look again every millisecond.
        """
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        try:
            if patience is None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            else:
                _lock_within(lock, patience)
            yield
        finally:
            os.close(lock)


def _lock_within(lock: int, patience: float) -> None:
    deadline = monotonic() + patience
    while not _locked(lock):
        if monotonic() > deadline:
            raise TimeoutError("the file lock of the writers' queue stayed locked")
        sleep(LOOK_AGAIN)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
