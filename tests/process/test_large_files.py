"""Files of more than 1 MiB, sent to a real service: a thread reads the body after the key was checked."""

import json
from contextlib import ExitStack, closing

import pytest

from tests.process.peers import Peer, request

pytestmark = pytest.mark.process

PLAN, APPLY = "/api/governance/config/plan", "/api/governance/config/apply"
LIMIT = {"model_name": "large", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}
LARGE = json.dumps({"owner": "team", "model_configs": [LIMIT]}).encode().ljust(5 * 1024 * 1024)


def halves(message):
    return message[: len(message) // 2], message[len(message) // 2 :]


@pytest.fixture
def peer():
    """Return a function that connects to a service."""
    with ExitStack() as stack:
        yield lambda running: stack.enter_context(closing(Peer(running)))


def test_a_large_file_is_planned_and_applied_however_it_comes(service, peer):
    running = service().start()
    first, second = halves(request("POST", PLAN, key=running.key, body=LARGE, fields=("Expect: 100-continue",)))
    head, rest = first.split(b"\r\n\r\n", 1)
    coming = peer(running).send(head + b"\r\n\r\n")
    assert coming.stream.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert coming.stream.readline() == b"\r\n"
    coming.send(rest)
    coming.send(second)
    plan = coming.reply()
    assert (plan.status, plan.json["counts"]) == (200, {"create": 1})
    fields = (f"If-Match: {plan.headers['ETag']}",)
    done = peer(running).send(request("POST", APPLY, key=running.key, body=LARGE, fields=fields)).reply()
    assert (done.status, done.json["applied"]) == (200, True)
    assert running.names() == {"large"}


def test_a_large_body_is_not_taken_from_a_stranger_nor_where_none_is_wanted(service, peer):
    running = service().start()
    for path, key, status in ((PLAN, "gov-unknown", 401), ("/api/governance/users", running.key, 413)):
        head = request("POST", path, key=key, fields=(f"Content-Length: {len(LARGE)}", "Expect: 100-continue"))
        assert peer(running).send(head).reply().status == status


def test_a_large_file_that_ends_early_or_does_not_come_is_400_and_holds_up_no_other(service, peer):
    running = service(GOVERNANCE_BODY_TIMEOUT="0.5").start()
    message = request("POST", PLAN, key=running.key, body=LARGE)
    for piece, how in ((message[:-9], Peer.send_end), (message[:2_000_000], lambda _: None)):
        slow = peer(running).send(piece)
        assert running.names() == set()
        how(slow)
        assert slow.reply().status == 400
    whole = peer(running).send(message).reply()
    assert whole.status == 200
