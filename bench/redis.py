"""A Redis to measure beside: on a port of its own, keeping nothing on disk, and gone when its block ends."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from bench.load import HOST
from bench.servers import free_port

UNPACKED = Path(__file__).parent / ".work" / "redis" / "usr"
"""Where `make` unpacks Debian's packages, on a machine that has no Redis."""
START_TIME = 10.0


class Redis(NamedTuple):
    """A Redis that answers."""

    port: int
    pid: int


@contextmanager
def serving(folder: Path, core: int) -> Iterator[Redis | None]:
    """A Redis on one core; None on a machine that has none."""
    installed = shutil.which("redis-server")
    found = installed or shutil.which("redis-check-rdb", path=UNPACKED / "bin")  # the same program, by its first name
    if found is None:
        yield None
        return
    libraries = {} if installed else {"LD_LIBRARY_PATH": ":".join(map(str, (UNPACKED / "lib").glob("*")))}
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            command, executable=found, cwd=folder, stdout=log, stderr=log, env={**os.environ, **libraries}
        )
        try:
            os.sched_setaffinity(process.pid, {core})
            _wait(port)
            yield Redis(port, process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait(port: int) -> None:
    until = monotonic() + START_TIME
    while monotonic() < until:
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            sleep(0.05)
        else:
            return
    raise RuntimeError("redis-server did not start")
