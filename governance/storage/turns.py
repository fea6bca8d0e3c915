"""Whose turn it is to write: a queue between all writers of all processes, since SQLite has none.

SQLite's own busy handler sleeps and tries again, and callers starve for seconds under load. An OS file lock wakes the
next one at once, and is free again when its holder dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWNER_ONLY = 0o600


class Turns:
    """The queue before one database file."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.queue")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn and keep it for the block."""
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
