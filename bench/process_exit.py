"""Makes the processes of a benchmark exit cleanly on SIGTERM, and when the process that started them ends."""

import ctypes
import os
import signal
import sys
from types import FrameType

SET_PARENT_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux's prctl. A process keeps the setting after an exec."""


def exit_on_sigterm() -> None:
    """Make SIGTERM raise SystemExit, so that `finally` blocks run. Further SIGTERMs are ignored."""
    signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("ended")


def exit_with_parent() -> None:
    """Make the kernel end this process when its parent ends, even if the parent is killed."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


if __name__ == "__main__":
    exit_with_parent()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606 - the same interpreter, no shell
