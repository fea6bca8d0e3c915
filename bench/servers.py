"""Gunicorns under measurement: each on a free loopback port, kept on one core, and gone when its block ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from bench.load import HOST, PATIENCE

ROOT = Path(__file__).resolve().parents[1]
START_TIME = 30.0
OURS = ("wsgi:app", "gunicorn.conf.py")
FLAGS = "bench/apps/flags.py"


class Server(NamedTuple):
    """A server that answers: its port, and the processes that serve."""

    port: int
    workers: tuple[int, ...]

    def fetch(self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None) -> bytes:
        """The body of an answer. Raises ValueError where it is not a 200."""
        connection = HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:  # noqa: PLR2004
            raise ValueError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
        return content


@contextmanager
def ours(folder: Path, core: int, environ: Mapping[str, str] | None = None) -> Iterator[Server]:
    """The service itself, with `folder` as its instance."""
    with serving(*OURS, folder, core, {"GOVERNANCE_INSTANCE": str(folder), **(environ or {})}) as server:
        yield server


@contextmanager
def app(name: str, folder: Path, core: int, environ: Mapping[str, str]) -> Iterator[Server]:
    """A hand-written app of `bench.apps`, under the flags of the service."""
    with serving(f"bench.apps.{name}:app", FLAGS, folder, core, environ) as server:
        yield server


@contextmanager
def serving(target: str, config: str, folder: Path, core: int, environ: Mapping[str, str]) -> Iterator[Server]:
    """A gunicorn for `target`; it writes to `folder` alone. Raises RuntimeError, with its log, if it does not start."""
    port = _free_port()
    log = folder / f"{target.partition(':')[0]}.log"
    command = [sys.executable, "-m", "bench.ending", "-m", "gunicorn", "--config", config, target]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**_environ(port), "TMPDIR": str(folder), **environ},
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            os.sched_setaffinity(process.pid, {core})
            _wait(process, port, log)
            yield Server(port, _workers(process, int(environ.get("WEB_CONCURRENCY", "1"))))
        finally:
            _stop(process)


def _environ(port: int) -> dict[str, str]:
    """This process's environment without what would change how a server runs."""
    ours = ("GOVERNANCE_", "GUNICORN_", "WEB_CONCURRENCY", "THREADS", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"HOST": HOST, "PORT": str(port)}


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until a worker answers, whatever it says."""
    until = monotonic() + START_TIME
    while process.poll() is None and monotonic() < until:
        connection = HTTPConnection(HOST, port, timeout=PATIENCE)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse()
        except (OSError, HTTPException):
            sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"the server did not start:\n{log.read_text('utf-8', 'replace')}")


def _workers(process: subprocess.Popen[bytes], wanted: int) -> tuple[int, ...]:
    """All the worker processes: one that was not counted would pass for a stranger on the core."""
    until = monotonic() + START_TIME
    while len(found := _children(process.pid)) < wanted and monotonic() < until:
        sleep(0.05)
    return found


def _children(pid: int) -> tuple[int, ...]:
    """The processes that a process has started."""
    return tuple(int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == pid)


def _parent(stat: Path) -> int | None:
    try:
        return int(stat.read_text("ascii", "replace").rpartition(")")[2].split()[1])
    except OSError:
        return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and all it started."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
