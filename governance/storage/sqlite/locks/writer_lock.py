"""The writer lock, a file lock that every writer of every process takes before it writes to the database.

SQLite has no queue of writers. Its busy handler sleeps and tries again, so under load some callers wait for seconds. A
file lock of the operating system wakes the next waiter at once. The kernel releases the lock if its holder dies.

There are two kinds of writers. A batch writes many calls to models at once, and waits for the lock in the kernel's
queue. An edit, for example of a limit, has a deadline. The kernel's queue has no deadlines, so an edit polls the lock.
While batches hold the lock one after another, an edit would seldom find it free. So an edit first takes a second lock
and sets a byte in a file that all processes share. A batch that finds the byte set lets that edit go first, once.
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
    """Return the path of the writer lock's file, and the path of the second lock's file.

    An edit takes the second lock to become the next writer.
    """
    return paths.beside(database, paths.QUEUE), paths.beside(database, paths.NEXT)


def pruning_file(database: Path) -> Path:
    """Return the path of the file that a worker locks while it prunes (deletes old rows)."""
    return paths.beside(database, paths.UPKEEP)


@contextmanager
def turn_within(
    files: tuple[Path, Path], patience: float, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the writer lock during the block.

    The lock is polled every millisecond. Batches let this caller go first. `files` is the result of `lock_files`. The
    function calls `meanwhile` again and again while it waits. Raises TimeoutError after `patience` seconds. Raises the
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
    """Try to hold the pruning lock during the block. Yield True, or False if another process holds the lock."""
    with private_files.opened(pruning_file(database)) as lock:
        yield private_files.try_lock(lock, fcntl.LOCK_EX)


class WriterLock:
    """The writer lock, for a thread that writes often.

    The thread waits for the lock in the kernel's queue. The lock files stay open between two uses.
    """

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
        """Close the lock files, which releases the lock. The next use opens the files again."""
        if self._queue is not None and self._flag is not None:
            self._flag.close()
            os.close(self._first)
            os.close(self._queue)
            self._queue = self._flag = None

    def _let_go_first(self) -> None:
        """Wait until the edit that set the byte holds the lock or has given up.

        Then clear the byte, because a process that has died may have left the byte set.
        """
        fcntl.flock(self._first, fcntl.LOCK_EX)
        _note(self._first, CLEAR)
        fcntl.flock(self._first, fcntl.LOCK_UN)


def _shared(file: int) -> mmap.mmap:
    """Map the first byte of a file into memory.

    So reading the byte needs no system call. A system call would release Python's global interpreter lock.
    """
    if os.fstat(file).st_size == 0:
        os.pwrite(file, CLEAR, 0)
    return mmap.mmap(file, 1, prot=mmap.PROT_READ)


def _note(file: int, byte: bytes) -> None:
    """Write the byte of the second lock's file. Ignore errors, for example a full disk.

    If the byte could not be set, batches do not let this edit go first. If it could not be cleared, batches take the
    second lock in vain.
    """
    with suppress(OSError):
        os.pwrite(file, byte, 0)


def _lock_until(deadline: float, lock: int, meanwhile: Callable[[], object]) -> None:
    while not private_files.try_lock(lock, fcntl.LOCK_EX):
        if monotonic() > deadline:
            raise TimeoutError(f"the writers' queue stayed locked by {private_files.holder(lock)}")
        meanwhile()
        sleep(LOOK_AGAIN)
