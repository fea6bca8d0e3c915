"""500 slow peers of every kind, and a normal client beside them. Every wait has an end."""

import json
import resource
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from time import perf_counter

import pytest

from tests.process.peers import Peer, request
from tests.process.service import DEADLINE, MODEL_CONFIGS, Service

pytestmark = pytest.mark.process

MANY = 500
PROMPT = 5.0
"""The seconds within which the normal client must get a response. Each wait for a slow peer lasts longer.
tests/proofs/test_hostile_peers.py asserts one second."""
PAGE = f"{MODEL_CONFIGS}?limit=100"
RESERVATIONS = "/api/governance/reservations"
BUDGETS = [{"max_limit": 1_000_000, "reset_duration": f"{minutes}m"} for minutes in range(1, 33)]
RATES = [{"token_max_limit": 9_000_000, "token_reset_duration": f"{minutes}m"} for minutes in range(1, 33)]
SHORT = {
    "GOVERNANCE_HEADER_TIMEOUT": "0.3",
    "GOVERNANCE_BODY_TIMEOUT": "0.3",
    "GOVERNANCE_SEND_TIMEOUT": "0.3",
    "GOVERNANCE_IDLE_TIMEOUT": "0.3",
}


def with_large_page(make: Callable[..., Service], **environ: str) -> Service:
    """Return a service whose page of 100 limits has 2 MB."""
    made = make(**environ)
    limits = [{"model_name": f"m{number}", "budgets": BUDGETS, "rate_limits": RATES} for number in range(100)]
    file = made.folder / "limits.json"
    file.write_text(json.dumps({"model_configs": [*limits, {"model_name": "gpt-4o", "budgets": BUDGETS[:1]}]}))
    made.environ["GOVERNANCE_CONFIG"] = str(file)
    return made.start()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service with the default timeouts."""
    made = with_large_page(lambda **environ: Service(tmp_path_factory.mktemp("usual"), **environ))
    yield made
    made.end()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service in which each wait lasts 0.3 seconds."""
    made = with_large_page(lambda **environ: Service(tmp_path_factory.mktemp("hasty"), **environ), **SHORT)
    yield made
    made.end()


def post(key: str | None, *fields: str) -> bytes:
    return request("POST", RESERVATIONS, key=key, fields=fields)


KINDS: dict[str, Callable[[str], bytes]] = {
    "nothing": lambda _: b"",
    "half a head": lambda key: post(key)[:-4],
    "a body without a key": lambda _: post(None, "Content-Length: 500") + b'{"model":',
    "half a body": lambda key: post(key, "Content-Length: 500") + b'{"model":',
    "half a large body": lambda key: post(key, "Content-Length: 900000") + b" " * 450_000,
    "a body that shall be asked for": lambda key: post(key, "Content-Length: 500", "Expect: 100-continue"),
    "a chunk that never comes": lambda key: post(key, "Transfer-Encoding: chunked") + b"5\r\n{}",
    "a body above the bound": lambda key: post(key, "Content-Length: 900000000") + b" " * 1000,
    "answers that nobody reads": lambda key: 4 * request("GET", f"{PAGE}&from_memory=true", key=key),
    "no hanging up": lambda key: request("GET", "/healthz", key=key, fields=("Connection: close",)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_500_slow_peers_hold_up_no_honest_client(usual: Service, kind: str):
    hostile, (worker,) = KINDS[kind](usual.key), usual.workers
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(closing(Peer(usual, window=4096))).send(hostile)
        kept = stack.enter_context(closing(Peer(usual)))
        for sent in 3 * (
            request("GET", "/healthz"),
            request("GET", f"{MODEL_CONFIGS}?from_memory=true", key=usual.key),
            request("POST", RESERVATIONS, key=usual.key, body=b'{"model":"gpt-4o","cost":0.01}'),
        ):
            for honest in (kept, stack.enter_context(closing(Peer(usual)))):
                began = perf_counter()
                assert honest.send(sent).reply().status == 200
                assert perf_counter() - began < PROMPT, sent
        assert resident(worker) < 400
    assert usual.workers == [worker]


def resident(pid: int) -> float:
    """Return the memory of a process, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("half a head", "request_timeout"),
        ("half a body", "request_timeout"),
        ("half a large body", "request_timeout"),
        ("a chunk that never comes", "request_timeout"),
        ("a body above the bound", "body_too_large"),
        ("nothing", None),
    ],
)
def test_a_wait_has_an_end_which_is_told(hasty: Service, kind: str, code: str | None):
    with closing(Peer(hasty)) as peer:
        peer.send(KINDS[kind](hasty.key))
        if code:
            reply = peer.reply()
            assert (reply.json["error"]["type"], reply.code) == ("invalid_request", code)
            assert (reply.status, reply.headers["Connection"]) == (reply.json["status_code"], "close")
            assert reply.headers["X-Request-Id"]
        assert peer.is_closed()


def test_a_wait_is_counted_from_its_beginning_not_from_the_last_byte(hasty: Service):
    sent = request("GET", "/healthz", fields=tuple(f"X-{number}: y" for number in range(50)))[:-2]
    with closing(Peer(hasty)) as peer:
        peer.socket.settimeout(0.02)
        for number in range(len(sent)):
            peer.send(sent[number : number + 1])
            with suppress(TimeoutError):
                assert peer.socket.recv(10_000).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
                return
    pytest.fail("it waited for each byte anew")


def test_a_connection_without_requests_is_closed(hasty: Service):
    with closing(Peer(hasty)) as peer:
        assert peer.send(request("GET", "/healthz")).reply().headers["Connection"] == "keep-alive"
        assert peer.is_closed()


def test_who_does_not_read_is_given_up(hasty: Service):
    with closing(Peer(hasty, window=4096)) as peer:
        peer.send(20 * request("GET", PAGE, key=hasty.key))
        watched = select.poll()
        watched.register(peer.socket, 0)  # the system reports a reset even without a requested event
        assert watched.poll(DEADLINE * 1000), "it was not cut off"
        with pytest.raises((ConnectionResetError, AssertionError)):
            peer.replies(20)


def test_who_reads_slowly_gets_all_of_it(usual: Service):
    with closing(Peer(usual, window=4096)) as peer:
        peer.send(3 * request("GET", PAGE, key=usual.key))
        first, *others = peer.replies(3)
        assert first.status == 200
        assert len(first.body) > 1_500_000
        assert len(first.json["model_configs"]) == 100
        assert all(other.body == first.body for other in others)


def test_a_stop_does_not_wait_longer_for_slow_peers_than_they_have(service):
    made = service(**SHORT).start()
    with ExitStack() as stack:
        for sent in KINDS.values():
            stack.enter_context(closing(Peer(made))).send(sent(made.key))
        began = perf_counter()
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(20) == 0
        assert perf_counter() - began < 10
    assert "Traceback" not in made.stderr.read_text()


def test_more_connections_than_there_are_places_end_the_oldest_and_not_the_worker(usual: Service):
    workers = usual.workers
    with ExitStack() as stack:
        peers = [stack.enter_context(closing(Peer(usual))) for _ in range(1100)]
        assert usual.call("GET", "/healthz").status == 200
        assert peers[-1].send(request("GET", "/healthz")).reply().status == 200
        assert peers[0].is_closed()
    assert usual.workers == workers


def test_a_worker_that_has_no_more_files_serves_on(service):
    made = service().start()
    made.create("gpt-4o", budget={"max_limit": 1_000_000, "reset_duration": "1d"})
    (worker,) = made.workers
    files = len(list(Path(f"/proc/{worker}/fd").iterdir()))
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (files + 100, files + 100))
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(closing(Peer(made))).send(b"GET /")
        for _ in range(20):
            assert made.call("POST", RESERVATIONS, {"model": "gpt-4o", "cost": 0.01}).status == 200
            assert made.call("GET", MODEL_CONFIGS).status == 200
    assert made.workers == [worker]
