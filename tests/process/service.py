"""A real gunicorn in a process group of its own, and calls to it. Each call has a connection of its own."""

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import gettempdir
from threading import Event
from time import monotonic
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30.0
OURS = ("GOVERNANCE_", "PROMETHEUS_", "GUNICORN_", "PORT", "HOST", "WEB_CONCURRENCY", "THREADS", "FLASK_")
BELOW_EPHEMERAL = range(18_000, 32_000)
PORTS = Path(gettempdir()) / f"model-limits-ports-{os.getuid()}"
"""A folder that all test runs on this machine share, with a locked file for each port that is in use."""
TAKEN: list[IO[str]] = []
"""The open files of the ports of this process, which hold the locks."""
MODEL_CONFIGS = "/api/governance/model-configs"


class Answer(NamedTuple):
    """A response."""

    status: int
    body: Any
    headers: dict[str, str]


def until(holds: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Wait until `holds` returns a true value, by the work of other processes. Return the value."""
    deadline, pause = monotonic() + seconds, Event()
    while not (found := holds()):
        assert monotonic() < deadline, "it did not come to be in time"
        pause.wait(0.01)
    return found


def free_port() -> int:
    """Return a port that no outgoing connection takes, so that a server can listen on it again after an end."""
    PORTS.mkdir(exist_ok=True)
    for port in random.sample(BELOW_EPHEMERAL, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            _take(port)
            return port
    raise AssertionError("no port is free")


def _take(port: int) -> None:
    """Keep a port for this process until it ends. Raises BlockingIOError if the tests of another process have it.

    Without that, they could listen on it before the server of this process does, and answer its calls.
    """
    file = (PORTS / str(port)).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    TAKEN.append(file)


class Service:
    """A service in a folder. Settings are given by their names, without the prefix GOVERNANCE_."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.instance = folder / "instance"
        self.stdout, self.stderr = folder / "stdout.txt", folder / "stderr.txt"
        self.environ = {"GOVERNANCE_INSTANCE": str(self.instance), "TMPDIR": str(folder), "PORT": str(free_port())}
        self.environ |= environ
        self.port = int(self.environ["PORT"]) if self.environ["PORT"].isdigit() else 0
        self.process: subprocess.Popen[bytes] | None = None
        self.kept_key: str | None = None
        self.prefix: tuple[str, ...] = ()
        """The beginning of the command line."""
        self.command: tuple[str | Path, ...] = (sys.executable, "-m", "gunicorn", "wsgi:app")
        self.cwd = ROOT

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the service without waiting."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with self.stdout.open("ab") as stdout, self.stderr.open("ab") as stderr:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command],
                cwd=self.cwd,
                env=inherited | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        return self.process

    def start(self) -> "Service":
        """Start the service. Wait until it is ready, with all its workers."""
        self.launch()
        until(self.is_ready)
        workers = until(lambda: len(self.workers) == int(self.environ.get("WEB_CONCURRENCY", "1")) and self.workers)
        for worker in workers if len(workers) > 1 else ():
            with self.only(worker):
                until(self.is_ready)
        return self

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.stderr.read_text()
        with suppress(OSError, HTTPException):
            return self.call("GET", "/readyz", key="").status == 200
        return False

    def governance(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command `flask governance …` with the settings of the service."""
        return subprocess.run(
            [sys.executable, "-m", "flask", "governance", *words],
            cwd=ROOT,
            env=os.environ | self.environ,
            text=True,
            capture_output=True,
            check=False,
        )

    def end(self) -> None:
        """Kill all processes of the service, in any state."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(DEADLINE)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def database(self) -> Path:
        return self.instance / "governance.db"

    @property
    def key(self) -> str:
        """The admin key that the start created. It is kept, in case the file is removed."""
        self.kept_key = self.kept_key or (self.instance / "admin.key").read_text().strip()
        return self.kept_key

    @property
    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """Send one request on a new connection, with the admin key if no other key is given."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return Answer(answer.status, json.loads(answer.read() or b"null"), dict(answer.getheaders()))

    def text(self, path: str) -> str:
        """Return a public document that is no JSON."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().read().decode()

    def create(self, model_name: str, **fields: Any) -> str:
        """Create a limit. Return its id."""
        answer = self.call("POST", MODEL_CONFIGS, {"model_name": model_name, **fields})
        assert answer.status == 200, answer
        return str(answer.body["model_config"]["id"])

    def names(self, *, from_memory: bool = False) -> set[str]:
        """Return the models of all limits."""
        answer = self.call("GET", f"{MODEL_CONFIGS}?limit=100&from_memory={str(from_memory).lower()}")
        assert answer.status == 200, answer
        return {each["model_name"] for each in answer.body["model_configs"]}

    @contextmanager
    def only(self, worker: int) -> Iterator[None]:
        """Let every call in the block reach this worker.

        All other workers are stopped, none of them while it writes.
        """
        others = [pid for pid in self.workers if pid != worker]
        try:
            until(lambda: self._stopped(others))
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    def _stopped(self, pids: list[int]) -> bool:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            until(lambda pid=pid: state(pid) in {"T", "Z"})
        if self._nobody_writes():
            return True
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        return False

    def _nobody_writes(self) -> bool:
        """Return whether the queue of the writers is empty. A worker that is stopped in it would block all others."""
        queue = self.database.with_name("governance.db.queue")
        with suppress(FileNotFoundError, BlockingIOError), queue.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return not queue.exists()


def state(pid: int) -> str:
    """Return the state of a process, as a letter. It is Z if there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


class SlowPost:
    """A POST in progress. The service has the head and half of the body, and has sent 100 Continue."""

    def __init__(self, service: Service, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.rest = text[len(text) // 2 :]
        self.socket = socket.create_connection(("127.0.0.1", service.port), timeout=DEADLINE)
        self.socket.sendall(
            f"POST {MODEL_CONFIGS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert self.socket.recv(100).startswith(b"HTTP/1.1 100 Continue")
        self.socket.sendall(text[: len(text) // 2])

    def finish(self) -> int:
        """Send the rest. Return the status of the response."""
        self.socket.sendall(self.rest)
        with closing(self.socket), self.socket.makefile("rb") as answer:
            return int(answer.readline().split()[1])
