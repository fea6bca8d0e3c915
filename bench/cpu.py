"""Reads the processor time of processes and of a core, and binds a process to a core (Linux)."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

SCHEDULED = 2
"""Linux's number for the process clock that counts the time spent on a core (CPUCLOCK_SCHED)."""
TICKS = os.sysconf("SC_CLK_TCK")
IDLE = 3


def cores() -> tuple[int, int]:
    """Return the core for the servers and the core for the load generator. With only one core, they are the same."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def stay_on(core: int) -> None:
    """Bind this process, and the processes that it starts, to one core."""
    os.sched_setaffinity(0, {core})


def of_processes(pids: Iterable[int]) -> float:
    """Return the processor time that these processes used, in user and system mode, in seconds."""
    return sum(_of_process(pid) for pid in pids)


def _of_process(pid: int) -> float:
    """Return the processor time of a process, in seconds, from the process's own clock.

    This clock counts nanoseconds, while /proc counts only hundredths of a second. On Linux, the id of the clock is
    computed from the process id, in the same way as in the C function `clock_getcpuclockid`.
    """
    return time.clock_gettime(~pid << 3 | SCHEDULED)


def of_core(core: int) -> float:
    """Return the seconds for which a core ran processes. Time spent handling interrupts is not counted."""
    line = next(line for line in Path("/proc/stat").read_text("ascii").splitlines() if line.startswith(f"cpu{core} "))
    return sum(map(int, line.split()[1 : 1 + IDLE])) / TICKS
