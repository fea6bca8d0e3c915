"""Starts a Redis server on a free port. The server writes no data to disk, and stops at the end of the `with` block."""

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
"""The folder where `make` unpacks Debian's packages on a machine without Redis."""
START_TIME = 10.0


class Redis(NamedTuple):
    """A running Redis server."""

    port: int
    pid: int


@contextmanager
def serving(folder: Path, core: int) -> Iterator[Redis | None]:
    """Start Redis on one core. Yield None on a machine without Redis."""
    installed = shutil.which("redis-server")
    # redis-check-rdb is the same program as redis-server: the name in `command` decides what it does
    found = installed or shutil.which("redis-check-rdb", path=UNPACKED / "bin")
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
