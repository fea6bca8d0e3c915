"""Processor time as Linux counts it: of processes, and of one core; and staying on a core."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

SCHEDULED = 2
"""The clock of a process that counts what the scheduler gave it (CPUCLOCK_SCHED)."""
TICKS = os.sysconf("SC_CLK_TCK")
IDLE = 3


def cores() -> tuple[int, int]:
    """A core for servers and another for load; the same one where there is no other."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def stay_on(core: int) -> None:
    """Keep this process, and those it starts, on one core."""
    os.sched_setaffinity(0, {core})


def of_processes(pids: Iterable[int]) -> float:
    """Seconds that these processes have used, in user and system mode."""
    return sum(_of_process(pid) for pid in pids)


def _of_process(pid: int) -> float:
    """By the process's own clock, in nanoseconds; /proc counts in hundredths of a second.

    Linux names that clock by the process's number (`clock_getcpuclockid` of its C library makes the same).
    """
    return time.clock_gettime(~pid << 3 | SCHEDULED)


def of_core(core: int) -> float:
    """Seconds in which processes ran on a core; interrupts are nobody's."""
    line = next(line for line in Path("/proc/stat").read_text("ascii").splitlines() if line.startswith(f"cpu{core} "))
    return sum(map(int, line.split()[1 : 1 + IDLE])) / TICKS
