"""The example client where the limits service, the model or the caller of a call is in trouble."""

import asyncio
import socket
import urllib.error
import urllib.request
from contextlib import closing
from threading import Event

import pytest
from werkzeug.wrappers import Response

from tests.conftest import ADMIN_KEY
from tests.examples.model_servers import ANTHROPIC, OPENAI, WAIT, event
from tests.examples.test_gateway import gateway, the_reservation

HELD = {"provider": "openai", "input_tokens": 100, "output_tokens": 1000}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def still():
    return Clock()


@pytest.fixture
def limits(serve, app):
    return gateway.Limits(serve(app), ADMIN_KEY, timeout=5)


class HangingService:
    """Takes connections and never answers."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"

    def connections(self):
        """How many came since the last look."""
        count = 0
        while True:
            try:
                self.server.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@pytest.fixture
def hanging():
    service = HangingService()
    with closing(service.server):
        yield service


def fails(limits, calls):
    for _ in range(calls):
        with pytest.raises(gateway.LimitsUnavailable), limits.call("gpt-4o"):
            pytest.fail("the call must not be made")


def test_after_three_failures_one_call_a_second_waits(hanging, still):
    limits = gateway.Limits(hanging.url, "gov-any", timeout=0.05, clock=still)
    fails(limits, 3)
    assert hanging.connections() >= 3
    fails(limits, 10)
    assert hanging.connections() == 0
    still.now = 0.99
    fails(limits, 10)
    assert hanging.connections() == 0
    still.now = 1.0
    fails(limits, 1)
    assert hanging.connections() >= 1
    fails(limits, 10)
    assert hanging.connections() == 0


def test_while_one_call_tries_no_other_waits(still):
    circuit = gateway.Circuit(still)
    for _ in range(3):
        with pytest.raises(TimeoutError), circuit.attempt():
            raise TimeoutError
    still.now = 1.0
    with circuit.attempt():
        still.now = 100.0
        with pytest.raises(ConnectionError), circuit.attempt():
            pytest.fail("only one may try")
    with circuit.attempt(), circuit.attempt():
        pass


def test_a_service_that_answers_again_closes_the_circuit(serve, app, hanging, still):
    limits = gateway.Limits(hanging.url, ADMIN_KEY, timeout=0.05, clock=still)
    fails(limits, 4)
    limits.url, limits.timeout = serve(app), 5
    fails(limits, 1)
    still.now = 1.0
    for _ in range(2):
        with limits.call("gpt-4o") as call:
            assert call.reservation_id


def test_a_refusal_is_no_failure_of_the_service(api, serve, app, still):
    limits = gateway.Limits(serve(app), "gov-nobody", timeout=5, clock=still)
    for _ in range(5):
        with pytest.raises(gateway.Refused, match="API key"), limits.call("gpt-4o"):
            pytest.fail("the call must not be made")


def test_all_tries_have_one_deadline(serve, still):
    asked = []

    def slow(environ, start_response):
        asked.append(environ["PATH_INFO"])
        still.now += 1.5
        return Response("{}", status=503)(environ, start_response)

    fails(gateway.Limits(serve(slow), "gov-any", timeout=2, clock=still), 1)
    assert len(asked) == 2


def test_an_open_circuit_lets_calls_pass_at_once_where_that_was_chosen(hanging, still):
    limits = gateway.Limits(hanging.url, "gov-any", timeout=0.05, fail_open=True, clock=still)
    for _ in range(10):
        with limits.call("gpt-4o") as call:
            assert call.reservation_id is None
            call.feed(b"{}")


def test_an_upstream_error_reaches_the_caller_and_releases(api, limits, serve):
    endpoint = serve(Response('{"error": {"message": "slow down"}}', status=429))
    with pytest.raises(urllib.error.HTTPError) as raised, limits.call("gpt-4o", **HELD):
        urllib.request.urlopen(endpoint)
    with raised.value as error:
        assert (error.code, error.read()) == (429, b'{"error": {"message": "slow down"}}')
    assert the_reservation(api)["status"] == "released"


class HttpxStatusError(Exception):
    """As httpx, openai and anthropic raise an answer's status."""

    response = type("Response", (), {"status_code": 500})()


def caused(error, cause):
    error.__cause__ = cause
    return error


RAISED = [
    (HttpxStatusError(), "released"),
    (ConnectionRefusedError(), "released"),
    (caused(RuntimeError("no connection"), ConnectionRefusedError()), "released"),
    (urllib.error.URLError(OSError("no route")), "released"),
    (RuntimeError("a bug of the gateway, maybe after the answer"), "settled"),
    (KeyboardInterrupt(), "settled"),
    (asyncio.CancelledError(), "settled"),
]


@pytest.mark.parametrize(("error", "status"), RAISED)
def test_a_block_that_raises_is_charged_unless_the_model_took_nothing(api, limits, error, status):
    with pytest.raises(type(error)), limits.call("gpt-4o", **HELD):
        raise error
    assert the_reservation(api)["status"] == status


@pytest.mark.parametrize("events", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_a_stream_is_settled_with_its_usage_wherever_it_is_cut(api, limits, events):
    answer = b"".join(map(event, events))
    with limits.call("gpt-4o", **HELD) as call:
        for byte in answer:
            call.feed(bytes([byte]))
    held = the_reservation(api)
    assert (held["status"], held["tokens"]["used"]) == ("settled", 10)


@pytest.mark.parametrize("events", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_a_stream_that_breaks_off_settles_as_held(api, limits, events):
    def broken(call):
        call.feed(event(events[0]) + event(events[1])[:20])
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError), limits.call("gpt-4o", **HELD) as call:
        broken(call)
    held = the_reservation(api)
    assert (held["status"], held["tokens"]["used"]) == ("settled", 1100)


def test_an_answer_beyond_the_bound_settles_as_held(api, limits, monkeypatch):
    monkeypatch.setattr(gateway, "LONGEST", 1000)
    with limits.call("gpt-4o", **HELD) as call:
        for _ in range(100):
            call.feed(event(OPENAI[1]))
        assert len(call.answer) == 1001
    assert the_reservation(api)["tokens"]["used"] == 1100


def test_usage_that_cannot_be_read_settles_as_held(api, limits, caplog):
    with limits.call("gpt-4o", **HELD) as call:
        call.used(usage={"total": 3})
    assert the_reservation(api)["tokens"]["used"] == 1100
    assert "settled as it was held" in caplog.text


def test_several_choices_are_held(limits):
    assert gateway.estimate(b"x" * 30, {"max_tokens": 50, "n": 3}, 4096) == (11, 150)


def test_async_calls_settle_release_and_are_denied_alike(api, limits):
    async def calls():
        async with limits.acall("gpt-4o", **HELD) as call:
            call.feed(event(OPENAI[1]))
        with pytest.raises(HttpxStatusError):
            async with limits.acall("gpt-4o", **HELD):
                raise HttpxStatusError
        with pytest.raises(asyncio.CancelledError):
            async with limits.acall("gpt-4o", **HELD):
                raise asyncio.CancelledError
        with pytest.raises(gateway.Denied):
            async with limits.acall("gpt-4o", tokens=5000):
                pytest.fail("the call must not be made")

    api.create("gpt-4o", rate_limits=[{"token_max_limit": 4000, "token_reset_duration": "1h"}])
    asyncio.run(calls())
    found = api.get("reservations").get_json()["reservations"]
    assert sorted((each["status"], each["tokens"]["used"]) for each in found) == [
        ("released", 0),
        ("settled", 10),
        ("settled", 1100),
    ]


def test_an_async_call_that_is_cancelled_while_it_reserves_releases(api, app, serve):
    reached, go_on = Event(), Event()

    def slow(environ, start_response):
        if environ["PATH_INFO"].endswith("/reservations"):
            reached.set()
            assert go_on.wait(WAIT)
        return app(environ, start_response)

    async def cancelled():
        limits = gateway.Limits(serve(slow), ADMIN_KEY, timeout=WAIT)

        async def call():
            async with limits.acall("gpt-4o", **HELD):
                pytest.fail("the call must not be made")

        task = asyncio.create_task(call())
        await asyncio.to_thread(reached.wait, WAIT)  # the loop goes on while the service is slow
        task.cancel()
        await asyncio.sleep(0)  # the task has its cancellation
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert the_reservation(api)["status"] == "released"
