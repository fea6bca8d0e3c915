"""500 slow or hostile peers of any kind, and a normal client beside them, which gets each response within a second."""

import random
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import pytest

from tests.process.peers import Peer, Reply, request
from tests.process.service import MODEL_CONFIGS, Service, until
from tests.process.test_slow_peers import KINDS, MANY, RESERVATIONS, post, resident, with_large_page
from tests.proofs.campaign import Campaign
from tests.proofs.conftest import Started

pytestmark = pytest.mark.process

SHARE = 0.15
BODY = b'{"model":"gpt-4o","cost":0.01}'
MOST_MEGABYTES = 400
ROUNDS = "rounds of 500 peers"
ATTEMPTS = 3
"""The number of tries for a round in which a response took a second, because the machine may be busy with other work.
"""
HONEST = 6
"""The number of reservations that the normal client makes in each round. Nobody else makes any."""


class Hostile(NamedTuple):
    """The bytes that a peer sends, and its behaviour after that."""

    sent: bytes
    then: Callable[[Peer], object] = lambda _: None


def kinds(key: str, chance: random.Random) -> dict[str, Callable[[], Hostile]]:
    """Return every kind of peer. Each peer is drawn anew."""
    reserve = request("POST", RESERVATIONS, key=key, body=BODY)
    page = request("GET", f"{MODEL_CONFIGS}?limit=100&from_memory=true", key=key)

    def cut(data: bytes) -> bytes:
        return data[: chance.randrange(1, len(data))]

    more: dict[str, Callable[[], Hostile]] = {
        "an end in the middle": lambda: Hostile(cut(reserve), Peer.send_end),
        "a reset in the middle": lambda: Hostile(cut(reserve), Peer.reset),
        "a reset in a body": lambda: Hostile(post(key, "Content-Length: 500") + BODY, Peer.reset),
        "a reset before the answer": lambda: Hostile(page, Peer.reset),
        "garbage": lambda: Hostile(chance.randbytes(chance.randrange(1, 3000))),
        "garbage in a head": lambda: Hostile(b"POST " + chance.randbytes(200) + b"\r\n\r\n"),
        "garbage in a body": lambda: Hostile(post(key, "Content-Length: 300") + chance.randbytes(300)),
        "an oversized head": lambda: Hostile(request("GET", "/healthz", fields=("X: " + "y" * 8000,) * 20)),
        "an oversized path": lambda: Hostile(b"GET /" + b"x" * 20_000),
        "many requests at once": lambda: Hostile(30 * request("GET", "/healthz") + cut(reserve)),
        "a wrong length": lambda: Hostile(post(key, f"Content-Length: {chance.randrange(len(BODY))}") + BODY),
        "a broken chunk": lambda: Hostile(post(key, "Transfer-Encoding: chunked") + b"zz\r\n" + BODY),
        "a stranger's reservation": lambda: Hostile(request("POST", RESERVATIONS, key="gov-nobody", body=BODY)),
    }
    slow = {name: (lambda sent=sent: Hostile(sent(key))) for name, sent in KINDS.items()}
    return slow | more


def test_hostile_peers_hold_up_no_honest_client(campaign: Campaign, made: Started) -> None:
    service = with_large_page(lambda **environ: made(WEB_CONCURRENCY="1", **environ))
    all_kinds, (worker,) = kinds(service.key, campaign.chance), service.workers
    rounds = [[name] for name in campaign.chance.sample(sorted(all_kinds), len(all_kinds))]
    while rounds or campaign.goes_on():
        names = rounds.pop() if rounds else campaign.chance.sample(sorted(all_kinds), 4)
        for attempt in range(1, ATTEMPTS + 1):
            with ExitStack() as stack:
                for _ in range(MANY):
                    attack(stack, service, all_kinds[campaign.chance.choice(names)]())
                slowest = serve_honestly(service, worker)
                assert resident(worker) < MOST_MEGABYTES, names
            campaign.figures[ROUNDS] += 1
            if slowest < 1:
                break
            assert attempt < ATTEMPTS, (names, slowest)
        campaign.figures["slowest honest answer in ms"] = max(
            campaign.figures["slowest honest answer in ms"], round(slowest * 1000)
        )
    assert service.workers == [worker]
    assert service.rows("SELECT COUNT(*) AS n FROM reservations") == [{"n": HONEST * campaign.figures[ROUNDS]}]
    until(lambda: files_of(worker) < MANY)
    assert_nothing_was_logged(service)
    service.assert_verified()


def attack(stack: ExitStack, service: Service, hostile: Hostile) -> None:
    """Start a peer that stays until the round ends. The service may close its connection at any instant."""
    peer = stack.enter_context(closing(Peer(service, window=4096)))
    with suppress(ConnectionError):
        peer.send(hostile.sent)
        hostile.then(peer)


def serve_honestly(service: Service, worker: int) -> float:
    """Send normal requests, over a new and over a kept connection. Return the seconds of the slowest.

    The requests are: health, a page from memory, a reservation and its settle. Time in which the worker's loop waited
    for a processor is not counted, because other work of the machine causes it.
    """
    seconds = []

    def ask(peer: Peer, *call: str, body: bytes | None = None) -> Reply:
        began, waited = perf_counter(), waited_for_a_processor(worker)
        reply = peer.send(request(*call, key=service.key, body=body)).reply()
        seconds.append(perf_counter() - began - (waited_for_a_processor(worker) - waited))
        assert reply.status == 200, reply
        return reply

    with closing(Peer(service)) as kept:
        for _ in range(HONEST // 2):
            with closing(Peer(service)) as new:
                for peer in (new, kept):
                    ask(peer, "GET", "/healthz")
                    ask(peer, "GET", f"{MODEL_CONFIGS}?from_memory=true")
                    held = ask(peer, "POST", RESERVATIONS, body=BODY).json["reservation"]["id"]
                    ended = ask(peer, "POST", f"{RESERVATIONS}/{held}/settle", body=b'{"cost":0.02}')
                    assert ended.json["reservation"]["status"] == "settled"
    return max(seconds)


def waited_for_a_processor(pid: int) -> float:
    """Return the seconds for which the main thread of a process was ready but had no processor, since its start."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def files_of(pid: int) -> int:
    """Return the number of open files and connections of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def assert_nothing_was_logged(service: Service) -> None:
    log = service.stderr.read_text()
    assert not [word for word in ("Traceback", "ERROR", "CRITICAL") if word in log]
