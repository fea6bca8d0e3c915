"""A real gunicorn on files of its own, which a test may kill and start again, and callers that keep a connection."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.process import service
from tests.process.service import DEADLINE, ROOT, until

ADMIN_KEY = "gov-the-admin-key-of-the-proofs-0123456789"
HOST = "127.0.0.1"


class Reply(NamedTuple):
    """A complete HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, with exact money."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def code(self) -> str:
        return str(self.json()["error"]["code"])


class Caller:
    """One kept-alive connection of one thread. Paths are relative to `/api/governance`."""

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
        """Send a request and return the response.

        Raises OSError or HTTPException if the response is not complete. The next request then opens a new connection.
        """
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
        """Return the JSON of a response that must be 200."""
        reply = self.request(method, path, body)
        assert reply.status == 200, reply
        return reply.json()

    def create(self, **limit: Any) -> dict[str, Any]:
        """Create a model limit. Return the limit of the response."""
        return dict(self.good("POST", "model-configs", limit)["model_config"])


class Service(service.Service):
    """Gunicorn with two workers and frequent polls. Every start uses the same folder and the same port."""

    def __init__(self, folder: Path, **environ: str) -> None:
        usual = {
            "WEB_CONCURRENCY": "2",
            "THREADS": "8",
            "GOVERNANCE_ADMIN_KEY": ADMIN_KEY,
            "GOVERNANCE_POLL_INTERVAL": "0.1",
        }
        super().__init__(folder, **usual | environ)
        self.kept_key = ADMIN_KEY

    def start(self) -> "Service":
        """Start the service. Wait until it is ready."""
        self.launch()
        until(self.is_ready)
        return self

    def kill(self) -> None:
        """Send SIGKILL to the master and all workers at one instant."""
        self.end()

    def stop(self) -> None:
        """End the service in an orderly way. If that takes too long, kill it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE / 3)
        self.kill()

    def caller(self, timeout: float = DEADLINE) -> Caller:
        return Caller(self.port, timeout)

    @contextmanager
    def verified(self) -> Iterator[None]:
        """Run `flask governance verify` beside the block.

        All counters must equal their ledger, and the usage history its calls.
        """
        command = [sys.executable, "-m", "flask", "governance", "verify", "--json"]
        environ = os.environ | self.environ
        proof = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield
            shown, complaints = proof.communicate(timeout=4 * DEADLINE)  # the machine may be busy
        finally:
            proof.kill()
            proof.communicate()
        assert proof.returncode == 0, shown + complaints
        proved = json.loads(shown)
        assert (proved["differences"], proved["history_differences"]) == ([], [])

    def assert_verified(self) -> None:
        """Check that every counter equals its ledger, with the command of the service."""
        with self.verified():
            pass

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Return rows of the database file, read without the service."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=DEADLINE)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]


@contextmanager
def script(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python code in another process until its first line of output. Kill it at the end of the block."""
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
