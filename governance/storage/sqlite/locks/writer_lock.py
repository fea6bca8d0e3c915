"""The writer lock: a queue for all writers of all processes. SQLite has no such queue.

SQLite's busy handler sleeps and tries again, so under load some callers wait for seconds. An OS file lock wakes the
next waiter at once, and the kernel releases the lock if its holder dies.

Batches wait in the kernel's queue for the lock. An edit has a deadline, so it polls the lock, and would seldom find it
free. So an edit first takes a second lock and sets a byte that all processes share. A batch that finds the byte set
lets that edit go first, once.
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
    """Return the file of the writer lock and the file of the second lock.

    An edit takes the second lock to be the next writer.
    """
    return paths.beside(database, paths.QUEUE), paths.beside(database, paths.NEXT)


def pruning_file(database: Path) -> Path:
    """Return the file that the pruning worker locks."""
    return paths.beside(database, paths.UPKEEP)


@contextmanager
def turn_within(
    files: tuple[Path, Path], patience: float, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the writer lock during the block.

    The lock is polled every millisecond, and batches let this caller go first. `files` are the `lock_files` of the
    database. While waiting, the function calls `meanwhile`. Raises TimeoutError after `patience` seconds, and the
    errors of `meanwhile`.
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
    """Hold the pruning lock during the block. Yield False if another process holds it."""
    with private_files.opened(pruning_file(database)) as lock:
        yield private_files.try_lock(lock, fcntl.LOCK_EX)


class WriterLock:
    """The writer lock, for a thread that writes often. It waits in the kernel's queue and keeps the lock files open."""

    def __init__(self, database: Path) -> None:
        self._files = lock_files(database)
        self._queue: int | None = None
        self._first = -1
        self._flag: mmap.mmap | None = None

    def __enter__(self) -> None:
        """Wait for the lock and take it."""
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
        """Release the lock."""
        if self._queue is not None:
            fcntl.flock(self._queue, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files, which releases the lock. The next use opens them again."""
        if self._queue is not None and self._flag is not None:
            self._flag.close()
            os.close(self._first)
            os.close(self._queue)
            self._queue = self._flag = None

    def _let_go_first(self) -> None:
        """Wait until the edit that set the byte holds the lock or has given up.

        Then clear the byte, because a process that died may have left it set.
        """
        fcntl.flock(self._first, fcntl.LOCK_EX)
        _note(self._first, CLEAR)
        fcntl.flock(self._first, fcntl.LOCK_UN)


def _shared(file: int) -> mmap.mmap:
    """Map the first byte of a file into memory.

    Reading it needs no system call, which would release the interpreter lock.
    """
    if os.fstat(file).st_size == 0:
        os.pwrite(file, CLEAR, 0)
    return mmap.mmap(file, 1, prot=mmap.PROT_READ)


def _note(file: int, byte: bytes) -> None:
    """Write the byte. If this fails (full disk), batches do not let edits go first, or they check once too often."""
    with suppress(OSError):
        os.pwrite(file, byte, 0)


def _lock_until(deadline: float, lock: int, meanwhile: Callable[[], object]) -> None:
    while not private_files.try_lock(lock, fcntl.LOCK_EX):
        if monotonic() > deadline:
            raise TimeoutError(f"the writers' queue stayed locked by {private_files.holder(lock)}")
        meanwhile()
        sleep(LOOK_AGAIN)
