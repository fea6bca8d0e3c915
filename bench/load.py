"""Sends requests to a server from a separate process, and measures the response times.

Each connection sends its next request when its previous request has been answered.
"""

import select
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import cycle
from multiprocessing import get_context
from time import perf_counter
from typing import NamedTuple, Self
from uuid import uuid4

from bench import cpu, process_exit

HOST = "127.0.0.1"
BUFFER = 2 * 1024 * 1024
PATIENCE = 30.0
HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
LAST_CHUNK = b"\r\n0\r\n\r\n"
SETTLEMENT = b'{"tokens":900,"cost":0.0009}'


class Plan(NamedTuple):
    """The requests to send to a server, and the number of seconds for which they are sent.

    `requests` are complete HTTP messages, built by the function `request`. They are sent in turn.
    """

    port: int
    requests: Sequence[bytes]
    connections: int
    warm_up: float
    seconds: float
    pids: Sequence[int]
    server_core: int
    settles: bool = False
    """Whether the requests are reservations, and each is settled (its usage is reported) on the same connection."""
    keyed: bool = False
    """Whether each request has a different Idempotency-Key header."""


class Sample(NamedTuple):
    """The result of one run.

    `latencies` are in ascending order. `statuses` contains the number of responses by status. `cpu` is the processor
    time of the server. `core` is the time for which the server's core ran any process. All times are in seconds.
    """

    seconds: float
    latencies: list[float]
    statuses: dict[int, int]
    cpu: float
    core: float

    @property
    def rate(self) -> float:
        """Responses per second."""
        return len(self.latencies) / self.seconds

    @property
    def cost(self) -> float:
        """The server's processor time per request, in microseconds."""
        return self.cpu / len(self.latencies) * 1e6

    @property
    def disturbance(self) -> float:
        """The share of the server's core that other processes used."""
        return max(0.0, self.core - self.cpu) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency, in seconds, that this share of the requests did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return a complete HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + HEAD_END + body


def _keyed(request: bytes) -> bytes:
    """Return the request with a new Idempotency-Key."""
    return request.replace(HEAD_END, f"\r\nIdempotency-Key: {uuid4()}".encode() + HEAD_END, 1)


class Generator:
    """Runs plans in the separate process."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(self, plan: Plan) -> Sample:
        """Run a plan and return its result. Raises TimeoutError or OSError if the server stops answering."""
        return self._pool.submit(run, plan).result(timeout=plan.warm_up + plan.seconds + 2 * PATIENCE)


@contextmanager
def generator(core: int) -> Iterator[Generator]:
    """Start a load generator in a separate process that is bound to one core."""
    with ProcessPoolExecutor(1, get_context("spawn"), _prepare, (core,)) as pool:
        yield Generator(pool)


def _prepare(core: int) -> None:
    cpu.stay_on(core)
    process_exit.exit_with_parent()


def run(plan: Plan) -> Sample:
    """Run a plan in this process."""
    with ExitStack() as stack:
        requests = map(_keyed, cycle(plan.requests)) if plan.keyed else cycle(plan.requests)
        kind = SettlingConnection if plan.settles else Connection
        connections = [stack.enter_context(kind(plan.port, requests)) for _ in range(plan.connections)]
        poller = stack.enter_context(select.epoll())
        by_number = {connection.fileno(): connection for connection in connections}
        for number, connection in by_number.items():
            poller.register(number, select.EPOLLIN)
            connection.send()
        _replies(poller, by_number, plan.warm_up)
        return _measured(poller, by_number, plan)


class Connection:
    """A kept-alive HTTP connection. It sends one request at a time."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._buffer = memoryview(bytearray(BUFFER))
        self._filled = self._wanted = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        return self._socket.fileno()

    def send(self) -> None:
        """Send the next request."""
        self._filled = self._wanted = 0
        self._began = perf_counter()
        self._socket.sendall(next(self._requests))

    def receive(self) -> tuple[float, int] | None:
        """Read the bytes that have arrived.

        Return (seconds since the request, status), or None if the response is incomplete.
        """
        read = self._socket.recv_into(self._buffer[self._filled :])
        if not read:
            raise ConnectionError("the server closed a connection")
        self._filled += read
        if not self._wanted:
            self._wanted = self._length() or self._chunks()
        if not self._wanted or self._filled < self._wanted:
            return None
        return perf_counter() - self._began, int(self._buffer[9:12])

    def _length(self) -> int:
        """Return the length of the response, including its headers.

        Return 0 if the headers are incomplete or contain no Content-Length.
        """
        head, end, _ = bytes(self._buffer[: min(self._filled, 4096)]).partition(HEAD_END)
        _, said, length = head.lower().partition(LENGTH)
        return len(head) + len(end) + int(length.partition(b"\r\n")[0]) if end and said else 0

    def _chunks(self) -> int:
        """Return the length of a chunked response. Return 0 until the last (empty) chunk has arrived."""
        return self._filled if self._buffer[: self._filled][-len(LAST_CHUNK) :] == LAST_CHUNK else 0


class SettlingConnection(Connection):
    """Sends a reservation, then settles it with a request that has the same headers. Both responses are counted."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        super().__init__(port, requests)
        self._settle = self._sent = b""

    def send(self) -> None:
        """Settle the last reservation. If the last reservation is settled already, send the next reservation."""
        self._filled = self._wanted = 0
        self._began = perf_counter()
        self._sent = self._settle or next(self._requests)
        self._socket.sendall(self._sent)

    def receive(self) -> tuple[float, int] | None:
        """Do the same as `Connection.receive`. After a reservation, also build the request that settles it."""
        reply = super().receive()
        if reply is not None:
            self._settle = b"" if self._settle else self._settle_of(bytes(self._buffer[: self._wanted]))
        return reply

    def _settle_of(self, answer: bytes) -> bytes:
        reservation = answer.partition(b'"reservation":{"id":"')[2].partition(b'"')[0]
        head, end, _ = self._sent.partition(HEAD_END)
        path = b"/api/governance/reservations"
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        kept[0] = kept[0].replace(path, path + b"/" + reservation + b"/settle")
        return b"\r\n".join([*kept, b"Content-Length: %d" % len(SETTLEMENT)]) + end + SETTLEMENT


def _measured(poller: select.epoll, connections: Mapping[int, Connection], plan: Plan) -> Sample:
    began, used, core = perf_counter(), cpu.of_processes(plan.pids), cpu.of_core(plan.server_core)
    replies = _replies(poller, connections, plan.seconds)
    return Sample(
        seconds=perf_counter() - began,
        cpu=cpu.of_processes(plan.pids) - used,
        core=cpu.of_core(plan.server_core) - core,
        latencies=sorted(latency for latency, _ in replies),
        statuses=dict(Counter(status for _, status in replies)),
    )


def _replies(poller: select.epoll, connections: Mapping[int, Connection], seconds: float) -> list[tuple[float, int]]:
    """Keep all connections busy for `seconds`, or longer if no response has arrived by then.

    Return the (latency, status) of each response.
    """
    replies: list[tuple[float, int]] = []
    until = perf_counter() + seconds
    while perf_counter() < until or not replies:
        ready = poller.poll(PATIENCE)
        if not ready:
            raise TimeoutError(f"the server has not answered for {PATIENCE:g} s")
        for number, _ in ready:
            reply = connections[number].receive()
            if reply is not None:
                replies.append(reply)
                connections[number].send()
    return replies
