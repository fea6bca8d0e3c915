"""Starts the gunicorn servers that the benchmark measures.

Each server listens on a free port of the loopback interface, and runs on one core. It stops at the end of its `with`
block.
"""

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
PYTHON = Path(sys.executable)
PROCESS_EXIT = ROOT / "bench" / "process_exit.py"
START_TIME = 120.0
IN_A_ROW = 20
"""A server is ready after this many good responses in a row, each on a new connection.

After so many responses, it is almost certain that each of two workers has sent at least one.
"""
OURS = ("wsgi:app", "gunicorn.conf.py")
FLAGS = "bench/apps/flags.py"
ASGI = ("--worker-class", "uvicorn_worker.UvicornWorker")
"""The arguments for ASGI apps."""


GUNICORNS = ("server", "date", "connection")
"""The headers that gunicorn adds to every response."""


class Server(NamedTuple):
    """A running server: its port and its worker processes."""

    port: int
    workers: tuple[int, ...]

    def fetch(self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None) -> bytes:
        """Send a request. Return the body of the response. Raises ValueError if the status is not 200."""
        return self.answer(path, headers, method, body)[1]

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None
    ) -> tuple[list[tuple[str, str]], bytes]:
        """Send a request. Return the headers of the response, without those of gunicorn, and the body.

        Raises ValueError if the status is not 200.
        """
        connection = HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:  # noqa: PLR2004
            raise ValueError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
        own = [(name, value) for name, value in answer.getheaders() if name.lower() not in GUNICORNS]
        return own, content


@contextmanager
def ours(
    folder: Path, core: int, environ: Mapping[str, str] | None = None, root: Path = ROOT, python: Path = PYTHON
) -> Iterator[Server]:
    """Start the service. Its data is in `folder`, and its code is in `root`."""
    settings = {"GOVERNANCE_INSTANCE": str(folder), **(environ or {})}
    with serving(*OURS, folder, core, settings, root=root, python=python) as server:
        yield server


@contextmanager
def app(name: str, folder: Path, core: int, environ: Mapping[str, str], *flags: str) -> Iterator[Server]:
    """Start an app of `bench.apps`, with the gunicorn settings of the service and with `flags`."""
    with serving(f"bench.apps.{name}:app", FLAGS, folder, core, environ, *flags) as server:
        yield server


@contextmanager
def serving(
    target: str,
    config: str,
    folder: Path,
    core: int,
    environ: Mapping[str, str],
    *flags: str,
    root: Path = ROOT,
    python: Path = PYTHON,
) -> Iterator[Server]:
    """Start gunicorn with the app `target`. It writes only to `folder`. Raises RuntimeError if the start fails."""
    port = free_port()
    log = folder / f"{target.partition(':')[0]}.log"
    command = [python, PROCESS_EXIT, "-m", "gunicorn", "--config", config, *flags, target]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**_environ(port), "TMPDIR": str(folder), **environ},
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            os.sched_setaffinity(process.pid, {core})
            _wait(process, port, log, int(environ.get("WEB_CONCURRENCY", 1)))
            yield Server(port, _children(process.pid))
        finally:
            _stop(process)


def _environ(port: int) -> dict[str, str]:
    """Return this process's environment without the variables that change how a server runs."""
    ours = ("GOVERNANCE_", "GUNICORN_", "WEB_CONCURRENCY", "THREADS", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"HOST": HOST, "PORT": str(port)}


def free_port() -> int:
    """Return a port of the loopback interface that is free."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path, workers: int) -> None:
    """Wait until every worker runs and answers with a status other than 503."""
    until = monotonic() + START_TIME
    ready = 0
    while process.poll() is None and monotonic() < until:
        ready = ready + 1 if len(_children(process.pid)) == workers and _is_ready(port) else 0
        if ready == IN_A_ROW:
            return
        sleep(0 if ready else 0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text('utf-8', 'replace')}")


def _is_ready(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status != 503  # noqa: PLR2004
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _children(pid: int) -> tuple[int, ...]:
    """Return the ids of the child processes of a process."""
    return tuple(int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == pid)


def _parent(stat: Path) -> int | None:
    try:
        return int(stat.read_text("ascii", "replace").rpartition(")")[2].split()[1])
    except OSError:
        return None


def admin_headers(folder: Path) -> dict[str, str]:
    """Return request headers with the admin key of the service whose data is in `folder`."""
    return {"Authorization": f"Bearer {(folder / 'admin.key').read_text('ascii').strip()}"}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and all its processes."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
