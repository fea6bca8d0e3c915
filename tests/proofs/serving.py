"""A real gunicorn of this project on files of its own, which a test may kill and start again; and callers of it."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[2]
ADMIN_KEY = "gov-the-admin-key-of-the-proofs-0123456789"
HOST = "127.0.0.1"
BELOW_EPHEMERAL = range(18_000, 32_000)
"""Ports that no outgoing connection takes, so that a server can come back on its own."""
DEADLINE = 30.0


class Reply(NamedTuple):
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; money is exact."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def code(self) -> str:
        return str(self.json()["error"]["code"])


class Caller:
    """One connection that is kept alive, for one thread; paths are relative to `/api/governance`."""

    def __init__(self, port: int, timeout: float = DEADLINE) -> None:
        self._connection = HTTPConnection(HOST, port, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def connect(self) -> None:
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Raises OSError or HTTPException where no whole answer comes; the next request connects anew."""
        url = path if path.startswith("/") else f"/api/governance/{path}"
        sent = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json", **(headers or {})}
        try:
            if self._connection.sock is None:
                self.connect()
            self._connection.request(method, url, None if body is None else json.dumps(body), sent)
            response = self._connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        except (OSError, HTTPException):
            self._connection.close()
            raise

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("POST", path, body, headers)

    def good(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer that must be 200."""
        reply = self.request(method, path, body)
        assert reply.status == 200, reply
        return reply.json()

    def create(self, **limit: Any) -> dict[str, Any]:
        """A stored model limit, as its create answers it."""
        return dict(self.good("POST", "model-configs", limit)["model_config"])


class Service:
    """Gunicorn with its workers in a process group of its own, on one instance folder and one port."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        self.port = _free_port()
        self._log = home / "gunicorn.log"
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GOVERNANCE_")},
            "GOVERNANCE_INSTANCE": str(home),
            "GOVERNANCE_ADMIN_KEY": ADMIN_KEY,
            "GOVERNANCE_POLL_INTERVAL": "0.1",
            "HOST": HOST,
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            "THREADS": "8",
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        return self.home / "governance.db"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until the service is ready."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start, and wait for nothing."""
        metrics = self.home / "metrics"
        metrics.mkdir(exist_ok=True)
        for stale in metrics.iterdir():
            stale.unlink()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "wsgi:app"],
                cwd=ROOT,
                env=self._environ | {"PROMETHEUS_MULTIPROC_DIR": str(metrics)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        eventually(self._is_ready, lambda: f"gunicorn is not ready:\n{self.log[-3000:]}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with suppress(OSError, HTTPException), Caller(self.port) as caller:
            return caller.get("/readyz").status == 200
        return False

    def workers(self) -> list[int]:
        """The pids of the workers that live."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def kill(self) -> None:
        """SIGKILL to the master and all workers at one instant."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE)
        self._process = None

    def stop(self) -> None:
        """End in an orderly way; by force where that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DEADLINE / 3)
            self._process = None
        if self._process is not None:
            self.kill()

    def caller(self, timeout: float = DEADLINE) -> Caller:
        return Caller(self.port, timeout)

    @contextmanager
    def verified(self) -> Iterator[None]:
        """Beside the block, `flask governance verify` proves that every counter equals its ledger."""
        command = [sys.executable, "-m", "flask", "governance", "verify", "--json"]
        proof = subprocess.Popen(
            command, cwd=ROOT, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield
            shown, complaints = proof.communicate(timeout=DEADLINE)
        finally:
            proof.kill()
            proof.communicate()
        assert proof.returncode == 0, shown + complaints
        assert json.loads(shown)["differences"] == []

    def assert_verified(self) -> None:
        """Every counter equals its ledger, by the service's own proof."""
        with self.verified():
            pass

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What is in the database file, read past the service."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=DEADLINE)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]


def _free_port() -> int:
    for port in random.sample(BELOW_EPHEMERAL, 100):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise AssertionError("no port is free")


def eventually(holds: Callable[[], bool], why: Callable[[], str] = lambda: "", within: float = DEADLINE) -> None:
    """Look again and again until it holds; fail after the deadline."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, f"not within {within} s. {why()}"
        time.sleep(0.01)


@contextmanager
def script(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs some Python until its first line of output; killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", source, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the script died"
        yield process
    finally:
        process.kill()
        process.communicate()
