"""Whose turn it is to write: a queue between all writers of all processes, since SQLite has none.

SQLite's own busy handler sleeps and tries again, and callers starve for seconds under load. An OS file lock wakes the
next one at once, and is free again when its holder dies.

Batches stand in the kernel's queue for that lock. An edit gives up after a while, so it only looks again and again, and
would seldom find the lock free. So an edit takes a second lock first, and says so in a byte that all processes share; a
batch that finds the byte set lets it go first, once.
"""

import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from governance.storage import private_files
from governance.storage.sqlite import paths

LOOK_AGAIN = 0.001
SET, CLEAR = b"\1", b"\0"


def lock_files(database: Path) -> tuple[Path, Path]:
    """The file of which the lock is the turn, and the one of which the lock is the right to be next."""
    return paths.beside(database, paths.QUEUE), paths.beside(database, paths.NEXT)


def pruning_file(database: Path) -> Path:
    """The file that is locked by the worker that prunes."""
    return paths.beside(database, paths.UPKEEP)


@contextmanager
def turn_within(
    files: tuple[Path, Path], patience: float, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Wait for one's turn, looking again every millisecond, and keep it for the block. Batches let it go first.

    `files` are the database's `lock_files`. Raises TimeoutError after `patience` seconds, and what `meanwhile` raises,
    which is called while it waits.
    """
    deadline = monotonic() + patience
    queue, first = map(private_files.open_or_create, files)
    try:
        try:
            _lock_until(deadline, first, meanwhile)
            _note(first, SET)
            try:
                _lock_until(deadline, queue, meanwhile)
            finally:
                _note(first, CLEAR)
        finally:
            os.close(first)
        yield
    finally:
        os.close(queue)


@contextmanager
def only_one(database: Path) -> Iterator[bool]:
    """Whether nobody else prunes this database; nobody else does for the block, if so."""
    with private_files.opened(pruning_file(database)) as lock:
        yield private_files.try_lock(lock, fcntl.LOCK_EX)


class WriterLock:
    """The turn of a thread that writes all the time: it stands in the kernel's queue, and keeps its files open."""

    def __init__(self, database: Path) -> None:
        self._files = lock_files(database)
        self._queue: int | None = None
        self._first = -1
        self._flag: mmap.mmap | None = None

    def __enter__(self) -> None:
        """Wait for one's turn."""
        if self._queue is None or self._flag is None:
            queue_file, next_file = self._files
            self._first = private_files.open_or_create(next_file)
            self._flag = _shared(self._first)
            self._queue = private_files.open_or_create(queue_file)
        queue, flag = self._queue, self._flag
        if flag[:1] == SET:
            self._let_go_first()
        fcntl.flock(queue, fcntl.LOCK_EX)
        if flag[:1] == SET:
            fcntl.flock(queue, fcntl.LOCK_UN)
            self._let_go_first()
            fcntl.flock(queue, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        """Let the next one in."""
        if self._queue is not None:
            fcntl.flock(self._queue, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the files up, and a turn with them; a later turn opens them anew."""
        if self._queue is not None and self._flag is not None:
            self._flag.close()
            os.close(self._first)
            os.close(self._queue)
            self._queue = self._flag = None

    def _let_go_first(self) -> None:
        """Wait until whoever is to be next has its turn, or has given up; where nobody is, it died: clear the byte."""
        fcntl.flock(self._first, fcntl.LOCK_EX)
        _note(self._first, CLEAR)
        fcntl.flock(self._first, fcntl.LOCK_UN)


def _shared(file: int) -> mmap.mmap:
    """The first byte of a file, to be read without a call of the system, which would give the interpreter lock away."""
    if os.fstat(file).st_size == 0:
        os.pwrite(file, CLEAR, 0)
    return mmap.mmap(file, 1, prot=mmap.PROT_READ)


def _note(file: int, byte: bytes) -> None:
    """Write the byte. Where the disk is full, batches do not let others go first, or look once more than they need."""
    with suppress(OSError):
        os.pwrite(file, byte, 0)


def _lock_until(deadline: float, lock: int, meanwhile: Callable[[], object]) -> None:
    while not private_files.try_lock(lock, fcntl.LOCK_EX):
        if monotonic() > deadline:
            raise TimeoutError(f"the writers' queue stayed locked by {private_files.holder(lock)}")
        meanwhile()
        sleep(LOOK_AGAIN)
