"""How the processes of a benchmark end: in order when told to, and never later than the one that started them."""

import ctypes
import os
import signal
import sys
from types import FrameType

SET_PARENT_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux' prctl: it outlives an exec."""


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process through its `finally` blocks; a second one does not cut them short."""
    signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("ended")


def exit_with_parent() -> None:
    """End this process with the one that started it, also where that was killed."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


if __name__ == "__main__":
    exit_with_parent()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606 - the same interpreter, no shell
