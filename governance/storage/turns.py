"""Whose turn it is to write: a queue between all writers of all processes, since SQLite has none.

SQLite's own busy handler sleeps and tries again, and callers starve for seconds under load. An OS file lock wakes the
next one at once, and is free again when its holder dies.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

OWNER_ONLY = 0o600
LOOK_AGAIN = 0.001


def queue_file(database: Path) -> Path:
    """The file of which the lock is the turn."""
    return database.with_name(f"{database.name}.queue")


@contextmanager
def turn_within(database: Path, patience: float, meanwhile: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Wait for one's turn, looking again every millisecond, and keep it for the block.

    Raises TimeoutError after `patience` seconds, and what `meanwhile` raises, which is called while it waits.
    """
    lock = _open(database)
    try:
        _lock_within(lock, patience, meanwhile)
        yield
    finally:
        os.close(lock)


class Turn:
    """The turn of a thread that writes all the time: it stands in the kernel's queue, and keeps the file open."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._lock: int | None = None

    def __enter__(self) -> None:
        """Wait for one's turn."""
        if self._lock is None:
            self._lock = _open(self._database)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        """Let the next one in."""
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file up, and a turn with it; a later turn opens it anew."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _open(database: Path) -> int:
    return os.open(queue_file(database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)


def _lock_within(lock: int, patience: float, meanwhile: Callable[[], object]) -> None:
    deadline = monotonic() + patience
    while not _locked(lock):
        if monotonic() > deadline:
            raise TimeoutError("the file lock of the writers' queue stayed locked")
        meanwhile()
        sleep(LOOK_AGAIN)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
