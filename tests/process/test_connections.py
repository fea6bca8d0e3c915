"""Requests over a connection: in all valid forms, cut off, and malformed. The form of gunicorn's refusals."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.process.peers import Peer, request
from tests.process.service import MODEL_CONFIGS, Service, until

pytestmark = pytest.mark.process

RESERVATIONS = "/api/governance/reservations"
HEALTH = request("GET", "/healthz")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service with one limit. It must not log an error in any of these tests."""
    made = Service(tmp_path_factory.mktemp("served")).start()
    made.create("gpt-4o", budget={"max_limit": 1000, "reset_duration": "1d"})
    yield made
    log = made.stderr.read_text()
    made.end()
    assert "Traceback" not in log
    assert "ERROR" not in log
    assert "CRITICAL" not in log


@pytest.fixture
def peer(served: Service) -> Iterator[Peer]:
    with closing(Peer(served)) as made:
        yield made


@pytest.fixture
def held(served: Service) -> str:
    """Return the path of an open reservation of 5 dollars."""
    answer = served.call("POST", RESERVATIONS, {"model": "gpt-4o", "cost": 5})
    return f"{RESERVATIONS}/{answer.body['reservation']['id']}"


def state(service: Service, path: str) -> str:
    return str(service.call("GET", path).body["reservation"]["status"])


def test_a_settle_that_is_cut_off_is_refused_and_can_be_repeated(served, peer, held):
    sent = request("POST", f"{held}/settle", key=served.key, body=b'{"cost":2.5,"tokens":1}    ')
    reply = peer.send(sent[:-17]).send_end().reply()
    assert (reply.status, reply.code, reply.headers["Connection"]) == (400, "malformed_request", "close")
    assert peer.is_closed()
    assert state(served, held) == "open"
    with closing(Peer(served)) as again:
        assert again.send(sent).reply().json["reservation"]["status"] == "settled"


CHUNKS = [
    b"5\r\nhel",
    b"5\r\nhello",
    b"5\r\nhello\r\n",
    b"2\r\n{}\r\n",
    b"2\r\n{}\r\n0\r\n",
    b"2\r\n{}\r\n0\r\nX-Trailer: y\r\n",
    b"",
]
BROKEN = [
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}!!0\r\n\r\n",
    b"-2\r\n{}\r\n0\r\n\r\n",
    b"\r\n\r\n",
    b"2\r\n{}\r\n0\r\nno trailer\r\n\r\n",
    b"2\n{}\n0\n\n\r\n\r\n",
]


@pytest.mark.parametrize("act", ["settle", "release", "extend"])
@pytest.mark.parametrize("chunks", [*CHUNKS, *BROKEN])
def test_chunks_that_are_cut_off_or_broken_are_refused_and_change_nothing(served, peer, held, chunks, act):
    sent = request("POST", f"{held}/{act}", key=served.key, fields=("Transfer-Encoding: chunked",))
    reply = peer.send(sent + chunks).send_end().reply()
    assert (reply.status, reply.code, reply.headers["Connection"]) == (400, "malformed_request", "close")
    assert peer.is_closed()
    assert state(served, held) == "open"


def test_a_peer_that_resets_in_mid_body_or_mid_answer_leaves_no_trace(served, held):
    sent = request("POST", f"{held}/settle", key=served.key, body=b'{"cost":2.5,"tokens":1}    ')
    for end in (len(sent) - 17, 30, len(sent)):
        made = Peer(served).send(sent[:end])
        if end == len(sent):
            until(lambda: state(served, held) == "settled")
        made.reset()
    assert served.call("GET", "/healthz").status == 200


def test_a_half_sent_head_that_ends_gets_no_answer(served, peer):
    assert peer.send(HEALTH[:-2]).send_end().is_closed()


@pytest.mark.parametrize("method", ["send", "send_by_bytes"])
@pytest.mark.parametrize(
    "sent",
    [
        ((), b'{"model":"gpt-4o","cost":0.01}'),
        (
            ("Transfer-Encoding: chunked",),
            b'8\r\n{"model"\r\n10;x=y\r\n:"gpt-4o","cost"\r\n6\r\n:0.01}\r\n0\r\nA: b\r\n\r\n',
        ),
    ],
)
def test_a_body_comes_whole_or_by_bytes_and_the_connection_is_used_again(served, peer, method, sent):
    fields, body = sent
    length = () if fields else (f"Content-Length: {len(body)}",)
    whole = request("POST", RESERVATIONS, key=served.key, fields=(*fields, *length)) + body
    for _ in range(3):
        reply = getattr(peer, method)(whole).reply()
        assert (reply.status, reply.headers["Connection"]) == (200, "keep-alive"), reply
        assert getattr(peer, method)(HEALTH).reply().status == 200


def test_pipelined_requests_are_answered_in_their_order(served, peer):
    body = b'{"model":"gpt-4o","cost":0.01}'
    reserve = request("POST", RESERVATIONS, key=served.key, body=body)
    chunked = request("POST", RESERVATIONS, key=served.key, fields=("Transfer-Encoding: chunked",))
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    wrong_key = request("POST", RESERVATIONS, key="wrong", body=body)
    peer.send((HEALTH + reserve + wrong_key + chunked) * 20 + HEALTH[:-1]).send(HEALTH[-1:])
    assert [reply.status for reply in peer.replies(81)] == [200, 200, 401, 200] * 20 + [200]


def test_a_peer_that_has_sent_all_may_close_its_half(served, peer):
    reserve = request("POST", RESERVATIONS, key=served.key, body=b'{"model":"gpt-4o","cost":0.01}')
    peer.send(HEALTH + reserve).send_end()
    assert [reply.status for reply in peer.replies(2)] == [200, 200]
    assert peer.is_closed()


def test_a_body_that_shall_be_asked_for_is_asked_for_once(served, peer):
    body = b'{"model":"gpt-4o","cost":0.01}'
    fields = ("Expect: 100-continue", f"Content-Length: {len(body)}")
    for _ in range(2):
        peer.send(request("POST", RESERVATIONS, key=served.key, fields=fields))
        assert peer.reply().status == 100
        assert peer.send(body).reply().status == 200


def test_a_body_that_is_too_large_is_not_asked_for(served, peer):
    fields = ("Expect: 100-continue", "Content-Length: 1048577")
    reply = peer.send(request("POST", RESERVATIONS, key=served.key, fields=fields)).reply()
    assert (reply.status, reply.code, reply.headers["Connection"]) == (413, "body_too_large", "close")


@pytest.mark.parametrize(
    "fields", [("Content-Length: 3000000",), ("Transfer-Encoding: chunked",)], ids=["length", "chunked"]
)
def test_who_sends_on_above_the_bound_still_reads_why_not(served, peer, fields):
    sent = request("POST", RESERVATIONS, key=served.key, fields=fields)
    peer.send(sent + b"2dc6c0\r\n" * ("chunked" in fields[0]) + b" " * 1_500_000)
    reply = peer.reply()
    assert (reply.status, reply.code, reply.headers["Connection"]) == (413, "body_too_large", "close")
    assert peer.is_closed()


def test_a_body_of_a_mebibyte_is_read(served, peer):
    body = json.dumps({"model": "gpt-4o", "cost": 0.01}).encode().ljust(1024 * 1024)
    assert peer.send(request("POST", RESERVATIONS, key=served.key, body=body)).reply().status == 200


REFUSED = [
    (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
    (b"GET /" + b"x" * 70_000, 414, "uri_too_long"),
    (request("GET", "/healthz", fields=("X: " + "y" * 9000,)), 431, "headers_too_large"),
    (request("GET", "/healthz", fields=("X: y",) * 101), 431, "headers_too_large"),
    (request("GET", "/healthz", fields=("X: " + "y" * 8000,) * 20)[:-2], 431, "headers_too_large"),
    (request("POST", "/x", fields=("Expect: miracles",)), 417, "expectation_failed"),
    (request("POST", "/x", fields=("Transfer-Encoding: br",)), 501, "unsupported_coding"),
    (request("POST", "/x", fields=("Content-Length: five",)), 400, "malformed_request"),
    (request("POST", "/x", fields=("Content-Length: 1", "Content-Length: 1")) + b"x", 400, "malformed_request"),
    (request("POST", "/x", fields=("Content-Length: 1", "Transfer-Encoding: chunked")), 400, "malformed_request"),
    (b"GET / HTTP/1.1\nHost: x\n\n", 400, "malformed_request"),
    (b"GET / HTTP/1.1\r\nno colon gov-secret\r\n\r\n", 400, "malformed_request"),
    (b"GET / HTTP/9.9\r\n\r\n", 400, "malformed_request"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed_request"),
    (b"get / HTTP/1.1\r\n\r\n", 400, "malformed_request"),
]


@pytest.mark.parametrize(("sent", "status", "code"), REFUSED)
def test_what_gunicorn_refuses_is_refused_in_the_one_shape(served, peer, sent, status, code):
    reply = peer.send(sent).reply()
    assert (reply.status, reply.code) == (status, code)
    assert reply.json["error"]["type"] == "invalid_request"
    assert (reply.headers["Content-Type"], reply.headers["Connection"]) == ("application/json", "close")
    assert (reply.headers["Cache-Control"], reply.json["is_bifrost_error"]) == ("no-store", False)
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["X-Request-Id"]
    assert f"status={status} code={code} request_id=" in served.stderr.read_text()
    assert "gov-secret" not in reply.body.decode() + served.stderr.read_text()
    assert peer.is_closed()


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script-Name", "PATH_INFO"])
@pytest.mark.parametrize("value", ["/api", "/nowhere"])
def test_no_header_moves_the_path(served, peer, name, value):
    reply = peer.send(request("GET", MODEL_CONFIGS, key=served.key, fields=(f"{name}: {value}",))).reply()
    assert (reply.status, len(reply.json["model_configs"])) == (200, 1)


def test_a_flood_of_malformed_heads_gets_few_lines_in_the_log(served):
    def lines() -> list[str]:
        return [line for line in served.stderr.read_text().splitlines() if " refused " in line]

    before = len(lines())
    for _ in range(300):
        with closing(Peer(served)) as peer:
            reply = peer.send(b"get / HTTP/1.1\r\n\r\n").reply()
            assert (reply.status, reply.headers["X-Content-Type-Options"]) == (400, "nosniff")
    until(lambda: any("refused more count=" in line for line in lines()))
    written = lines()[before:]
    assert len(written) < 100
    assert all("peer=127.0.0.1" in line for line in written)
