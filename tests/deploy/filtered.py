"""Runs a program under the SystemCallFilter= lines of a systemd unit: `python -m tests.deploy.filtered UNIT PROGRAM …`.

systemd applies the filter with the same library. Its groups are those of the systemd that is installed.
"""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyseccomp


def values(unit: Path, setting: str) -> list[str]:
    """Return the values of a setting of a unit, in order."""
    pairs = [line.partition("=") for line in unit.read_text().splitlines()]
    return [value for name, _, value in pairs if name == setting]


@cache
def members(name: str) -> frozenset[str]:
    """Return the system calls of a group such as `@process`. A system call is a group of its own."""
    if not name.startswith("@"):
        return frozenset({name})
    shown = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    inside = [line.strip() for line in shown.stdout.splitlines()[1:]]
    return frozenset().union(*(members(each) for each in inside if each and not each.startswith("#")))


def allowed(unit: Path) -> set[str]:
    """Return the system calls that a unit allows. A line that begins with ~ takes some away; @default stays."""
    found: set[str] = set()
    for line in values(unit, "SystemCallFilter"):
        named = set().union(*(members(name) for name in line.removeprefix("~").split()))
        found = found - named if line.startswith("~") else found | named
    return found | members("@default")


def load(names: set[str]) -> None:
    """Allow this process and its children only these system calls. All others fail with EPERM."""
    filter_ = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in known(names):
        filter_.add_rule(pyseccomp.ALLOW, name)
    filter_.load()


def known(names: set[str]) -> Iterator[str]:
    """Yield the system calls that this machine has."""
    for name in names:
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            yield name


if __name__ == "__main__":
    load(allowed(Path(sys.argv[1])))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the program that was asked for
