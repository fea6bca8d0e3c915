"""`/gateway/settled`: the charge of a proxied call, by the upstream's own answer."""

import gzip
import json
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.web.gateways import bodies
from governance.web.http.flask_app import HttpRequest
from tests.domain.gateways.test_answers import ANTHROPIC_DELTA, ANTHROPIC_START, STREAMS, sse
from tests.metering.conftest import dollars, tokens

CALL = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
SIZE = len(json.dumps(CALL).encode())
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}
COST = (8 * 2 + 4 * 1 + 7 * 10) / 10**6
ANSWER = {"id": "x", "choices": [{"message": {"content": "Hi"}}], "usage": USAGE}
JSON = {"Content_Type": "application/json"}


@pytest.fixture
def limit(api):
    return api.create("gpt-4o", budget=dollars(1), rate_limit=tokens(10_000))


@pytest.fixture
def held(proxy, limit):
    """Return the headers of an allowed call."""
    return proxy.allowed(CALL)


def estimate(meter, held):
    found = meter.read(held["X-Reservation-Id"])
    return found["tokens"]["reserved"], found["cost"]["reserved"]


def test_the_usage_of_the_answer_is_charged_at_the_price_of_admission(api, proxy, meter, limit, held):
    after = proxy.settled(held["X-Reservation-Id"], ANSWER, **JSON)
    assert (after["status"], after["tokens"]["used"], after["cost"]["used"]) == ("settled", 19, COST)
    assert meter.stands(limit) == {"cost": (COST, 0), "tokens": (19, 0)}
    assert api.get("usage/history").get_json()["sum"]["cached_tokens"] == 4


@pytest.mark.parametrize("name", STREAMS)
def test_streams_are_read_as_they_came(proxy, held, name):
    data, media_type = STREAMS[name]
    after = proxy.settled(held["X-Reservation-Id"], data, Content_Type=media_type)
    assert (after["tokens"]["used"], after["cost"]["used"]) == (19, COST)


def test_a_compressed_answer_is_read(proxy, held):
    packed = gzip.compress(json.dumps(ANSWER).encode())
    assert proxy.settled(held["X-Reservation-Id"], packed, Content_Encoding="gzip", **JSON)["tokens"]["used"] == 19


OPENED = sse(ANTHROPIC_START, ANTHROPIC_DELTA)
PACKED = gzip.compress(json.dumps(ANSWER).encode() * 9, mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"", {}, "no body"),
        (b"", {"X_Upstream_Status": ""}, "no body"),
        (b"", {"Content_Encoding": "gzip"}, "body cut off"),
        ({"choices": []}, JSON, "no usage in the body"),
        (sse({"choices": [{"delta": {"content": "Hi"}}]}, "[DONE]"), {}, "no usage in the body"),
        (OPENED, {"Content_Type": "text/event-stream"}, "body cut off"),
        (b'data: {"choices": [{"del', {}, "body cut off"),
        (json.dumps(ANSWER).encode()[:-20], JSON, "body cut off"),
        (PACKED[:40], {"Content_Encoding": "gzip"}, "body cut off"),
        ({"usage": {"prompt_tokens": "many", "completion_tokens": 1}}, JSON, "usage that cannot be read"),
        ({"usage": {"words": 5}}, JSON, "usage that cannot be read"),
        (b"{is no JSON}", JSON, "unknown form"),
        (b"\x1f\x8b broken", {"Content_Encoding": "gzip"}, "unknown form"),
        (b"anything", {"Content_Encoding": "br"}, "unknown form"),
        (b"<html>", {"Content_Type": "text/html"}, "unknown form"),
        (b"\0" * 40, {}, "unknown form"),
    ],
)
def test_without_readable_usage_the_call_settles_as_held_and_says_why(proxy, held, body, headers, reason):
    expected = SIZE + 100, (SIZE * 2 + 100 * 10) / 10**6
    told = proxy.settle(held["X-Reservation-Id"], body, **headers).get_json()
    after = told["reservation"]
    assert (after["status"], after["tokens"]["used"], after["cost"]["used"]) == ("settled", *expected)
    assert (told["charged"], told["reason"]) == ("as_held", reason)


def test_the_answer_of_a_settle_says_what_was_charged(api, proxy, held):
    def charged(*sent):
        told = proxy.settle(*sent).get_json()
        return told["charged"], told["reason"]

    reservation_id = held["X-Reservation-Id"]
    assert charged(reservation_id, ANSWER) == ("usage", None)
    assert charged(reservation_id, ANSWER) == ("usage", None)
    assert charged(reservation_id, b"") == ("earlier", None)
    assert charged(reservation_id, b"", "500") == ("earlier", None)
    failed = proxy.allowed(CALL)["X-Reservation-Id"]
    assert charged(failed, b"", "500") == ("nothing", None)
    assert charged(failed, ANSWER) == ("earlier", None)


def test_a_settle_whose_price_is_not_known_has_a_warning(api, proxy):
    held = proxy.allowed(CALL | {"model": "nobody-knows-it"})
    told = proxy.settle(held["X-Reservation-Id"], ANSWER).get_json()
    assert (told["charged"], len(told["warnings"])) == ("usage", 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "overloaded"}}, "529"),
        (b"", "502"),
        (b"bad gateway", "500"),
        (sse({"type": "error", "error": {"type": "overloaded_error"}}), "200"),
    ],
)
def test_a_failure_before_any_output_releases(proxy, meter, held, body, status):
    after = proxy.settled(held["X-Reservation-Id"], body, status)
    assert (after["status"], after["tokens"]["used"]) == ("released", 0)
    assert meter.proven() == 2


def test_a_stream_that_fails_behind_output_settles_as_held(proxy, meter, held):
    expected = estimate(meter, held)
    broken = sse(ANTHROPIC_START, ANTHROPIC_DELTA, {"type": "error", "error": {"type": "overloaded_error"}})
    assert proxy.settled(held["X-Reservation-Id"], broken)["tokens"]["used"] == expected[0]


def test_a_repeated_or_late_settle_is_no_error_and_counts_once(proxy, meter, limit, held, clock):
    reservation_id = held["X-Reservation-Id"]
    first = proxy.settled(reservation_id, ANSWER)
    for body, status in (
        (ANSWER, "200"),
        ({"usage": {"prompt_tokens": 1, "completion_tokens": 1}}, "200"),
        (b"", "500"),
    ):
        assert proxy.settled(reservation_id, body, status) == first
    released = proxy.allowed(CALL)["X-Reservation-Id"]
    proxy.settled(released, b"", "500")
    assert proxy.settled(released, ANSWER)["status"] == "released"
    late = proxy.allowed(CALL)["X-Reservation-Id"]
    clock.advance(700)
    meter.poll()
    after = proxy.settled(late, ANSWER)
    assert (after["status"], after["late"], after["tokens"]["used"]) == ("settled", True, 19)
    assert meter.stands(limit)["tokens"] == (38, 0)


def test_an_unknown_reservation_is_404_and_a_missing_one_400(proxy):
    answer = proxy.settle("nope", ANSWER)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "reservation_not_found")
    answer = proxy.settle("", ANSWER)
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, "X-Reservation-Id")
    answer = proxy.settle("x", ANSWER, "fine")
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, "X-Upstream-Status")


def test_settling_needs_the_proxys_key(proxy, held):
    answer = proxy.settle(held["X-Reservation-Id"], ANSWER, X_Governance_Key="")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "api_key_required")


def test_any_key_of_scope_meter_settles_and_no_other(api, proxy, held):
    keys = {
        scope: api.post("/api/api-keys", {"name": scope, "scopes": [scope]}).get_json()["api_key"]["key"]
        for scope in ("read", "write", "meter")
    }
    for scope in ("read", "write"):
        answer = proxy.settle(held["X-Reservation-Id"], ANSWER, X_Governance_Key=keys[scope])
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "insufficient_scope")
    answer = proxy.settle(held["X-Reservation-Id"], ANSWER, X_Governance_Key=proxy.virtual_key)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "invalid_api_key")
    assert proxy.settled(held["X-Reservation-Id"], ANSWER, X_Governance_Key=keys["meter"])["status"] == "settled"


@given(size=st.integers(0, 400_000), cut=st.integers(1, 3000), name=st.sampled_from(["gzip", "deflate"]))
def test_what_is_decompressed_in_pieces_is_whole(size, cut, name):
    data = b"x" * size + b"end"
    packed = gzip.compress(data) if name == "gzip" else zlib.compress(data)
    environ = {"HTTP_CONTENT_ENCODING": name, "CONTENT_LENGTH": str(len(packed)), "wsgi.input": Trickle(packed, cut)}
    assert b"".join(bodies.pieces(HttpRequest(environ), pytest.fail)) == data


class Trickle(BytesIO):
    """Gives at most `cut` bytes at a time."""

    def __init__(self, data: bytes, cut: int) -> None:
        super().__init__(data)
        self.cut = cut

    def read(self, size=-1):
        return super().read(min(size, self.cut))


@pytest.mark.parametrize("options", [{"gateway_body_mb": 1}])
def test_huge_answers_are_read_in_pieces(proxy, meter, held):
    expected = estimate(meter, held)
    chunk = sse({"choices": [{"delta": {"content": "x" * 1000}}]})
    stream = chunk * 5000 + sse({"choices": [], "usage": USAGE})
    assert proxy.settled(held["X-Reservation-Id"], stream, Content_Type="text/event-stream")["tokens"]["used"] == 19
    packed = proxy.allowed(CALL)["X-Reservation-Id"]
    assert proxy.settled(packed, gzip.compress(stream), Content_Encoding="gzip")["tokens"]["used"] == 19
    again = proxy.allowed(CALL)["X-Reservation-Id"]
    huge = {"text": "x" * (2 * 1024 * 1024), "usage": USAGE}
    told = proxy.settle(again, huge, **JSON).get_json()
    assert (told["reservation"]["tokens"]["used"], told["reason"]) == (expected[0], "body too large")


def test_a_body_that_is_cut_off_changes_nothing(api, proxy, held, meter):
    data = json.dumps(ANSWER).encode()
    sent = {"X-Governance-Key": proxy.key, "X-Reservation-Id": held["X-Reservation-Id"]}
    longer = {"CONTENT_LENGTH": str(len(data) + 9)}
    answer = api.with_key(None).request(
        "POST", "/gateway/settled", input_stream=BytesIO(data), headers=sent, environ_overrides=longer
    )
    assert answer.status_code == 400
    assert meter.read(held["X-Reservation-Id"])["status"] == "open"
