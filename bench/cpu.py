"""Reads the processor time of processes and of a core, and binds a process to a core (Linux)."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

SCHEDULED = 2
"""The number of the process clock that counts the time that the scheduler gives (CPUCLOCK_SCHED)."""
TICKS = os.sysconf("SC_CLK_TCK")
IDLE = 3


def cores() -> tuple[int, int]:
    """Return a core for the servers and a core for the load. They are the same if there is only one core."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def stay_on(core: int) -> None:
    """Bind this process, and the processes that it starts, to one core."""
    os.sched_setaffinity(0, {core})


def of_processes(pids: Iterable[int]) -> float:
    """Return the processor time of these processes, in user and system mode, in seconds."""
    return sum(_of_process(pid) for pid in pids)


def _of_process(pid: int) -> float:
    """Read the process's own clock, in seconds.

    The clock counts nanoseconds, and /proc counts only hundredths of a second. Linux derives the number of that clock
    from the process id, as `clock_getcpuclockid` of the C library does.
    """
    return time.clock_gettime(~pid << 3 | SCHEDULED)


def of_core(core: int) -> float:
    """Return the seconds in which processes ran on a core, without interrupts."""
    line = next(line for line in Path("/proc/stat").read_text("ascii").splitlines() if line.startswith(f"cpu{core} "))
    return sum(map(int, line.split()[1 : 1 + IDLE])) / TICKS
