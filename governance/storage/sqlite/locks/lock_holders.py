"""Finds the processes that hold a file lock, and resumes those that are suspended.

A process may be suspended (SIGSTOP, Ctrl-Z) while it holds the writer lock. Then it blocks all writers until someone
resumes or kills it. This module sends it SIGCONT, so that it commits or rolls back its transaction itself. Only Linux
lists the holders of a lock (/proc/locks). On other systems, only gunicorn's worker timeout helps.
"""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic

logger = logging.getLogger("governance.storage")

LOOK_AGAIN = 1.0
LOCKS = Path("/proc/locks")
STOPPED = "T"


class StoppedHolders:
    """Resumes suspended processes that hold a lock on one of the files.

    A process is resumed only if two checks, which are at least a second apart, find it suspended.
    """

    def __init__(self, *files: Path, timer: Callable[[], float] = monotonic) -> None:
        self._files = files
        self._timer = timer
        self._lock = Lock()
        self._looked_at = 0.0
        self._stopped: frozenset[int] = frozenset()

    def look(self) -> None:
        """Check whether the lock holders are suspended. All threads together check at most once a second."""
        if self._timer() - self._looked_at < LOOK_AGAIN or not self._lock.acquire(blocking=False):
            return
        try:
            self._looked_at = self._timer()
            stopped = frozenset(pid for file in self._files for pid in holders(file) if is_stopped(pid))
            for pid in stopped & self._stopped:
                _resume(pid)
            self._stopped = stopped
        finally:
            self._lock.release()


def holders(file: Path) -> list[int]:
    """Return the ids of the processes that hold the file's `flock`.

    The list is empty if the operating system does not show which processes hold locks.
    """
    try:
        inode, rows = str(file.stat().st_ino), [line.split() for line in LOCKS.read_text().splitlines()]
    except OSError:
        return []
    return [int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].rpartition(":")[2] == inode]


def is_stopped(pid: int) -> bool:
    """Return whether a signal has suspended a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == STOPPED
    return False


def _resume(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except OSError:
        logger.exception("continue or kill process %s: it holds the writers' turn, and is stopped", pid)
    else:
        logger.warning("process %s was stopped while it held the writers' turn, and was continued", pid)
