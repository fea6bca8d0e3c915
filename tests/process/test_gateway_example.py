"""The example client as a command of its own, with a real gunicorn behind it and a model that a test steps."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from werkzeug.wrappers import Response

from tests.examples.model_servers import ANTHROPIC, OPENAI, BrokenModel, StepwiseModel, chunked, event
from tests.examples.test_gateway import gateway
from tests.process.service import DEADLINE, ROOT

pytestmark = pytest.mark.process

REQUEST = {"model": "gpt-4o", "stream": True, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def started(service):
    return service().start()


class Command:
    """The example under way. As a context, it is killed at the end."""

    def __init__(self, service, endpoint, *options, request=None):
        environ = {"GOVERNANCE_URL": f"http://127.0.0.1:{service.port}", "GOVERNANCE_KEY": service.key}
        self.process = subprocess.Popen(
            [sys.executable, "examples/gateway.py", *options, endpoint],
            cwd=ROOT,
            env=os.environ | environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.process.stdin.write(json.dumps(request or REQUEST).encode())
        self.process.stdin.close()
        self.process.stdin = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def end(self):
        """Wait for its end; exit code, and the rest of what it wrote."""
        printed, complaint = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, printed, complaint.decode()


def the_reservation(service):
    (found,) = service.call("GET", "/api/governance/reservations").body["reservations"]
    return found


STREAMS = [(OPENAI, "/v1/chat/completions", True), (ANTHROPIC, "/v1/messages", False)]


@pytest.mark.parametrize(("events", "path", "asks"), STREAMS, ids=["openai", "anthropic"])
def test_a_stream_arrives_as_it_is_sent_and_is_settled(started, serve, events, path, asks):
    model = StepwiseModel(events)
    with Command(started, serve(model) + path) as command:
        assert command.process.stdout.readline() + command.process.stdout.readline() == event(events[0])
        model.go_on()
        assert command.end() == (0, b"".join(map(event, events[1:])), "")
    held = the_reservation(started)
    assert (held["status"], held["tokens"]["used"]) == ("settled", 10)
    assert ("stream_options" in model.requests[0]) is asks


def test_a_stream_s_own_options_stay_as_they_are(started, serve):
    model = StepwiseModel(OPENAI)
    model.go_on()
    options = {"stream_options": {"include_usage": False}}
    with Command(started, f"{serve(model)}/v1/chat/completions", request=REQUEST | options) as command:
        assert command.end()[0] == 0
    assert model.requests == [REQUEST | options]


BROKEN = [
    ("Transfer-Encoding: chunked", chunked(event(OPENAI[0])), b""),
    ("Content-Length: 1000", event(OPENAI[0]), b""),
]


@pytest.mark.parametrize(("head", "sent", "rest"), BROKEN, ids=["chunked", "length"])
def test_a_stream_that_breaks_off_is_told_and_settles_as_held(started, head, sent, rest):
    with BrokenModel(head, sent) as endpoint, Command(started, endpoint) as command:
        code, printed, complaint = command.end()
    held = the_reservation(started)
    assert (code, printed, "IncompleteRead" in complaint) == (1, event(OPENAI[0]), True)
    assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])


def test_an_upstream_error_is_passed_on(started, serve):
    error = '{"error": {"message": "The server is overloaded."}}'
    with Command(started, serve(Response(error, status=503))) as command:
        assert command.end() == (1, error.encode(), "The model answers 503 SERVICE UNAVAILABLE.\n")
    assert the_reservation(started)["status"] == "released"


def test_a_reader_that_goes_away_leaves_a_call_settled_as_held(started, serve):
    model = StepwiseModel([*OPENAI[:1], *[OPENAI[0]] * 10_000])
    with Command(started, f"{serve(model)}/v1/chat/completions") as command:
        command.process.stdout.readline()
        command.process.stdout.close()
        model.go_on()
        command.process.wait(DEADLINE)
        held = the_reservation(started)
        command.process.stdout = None
    assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])


def test_a_service_that_hangs_costs_three_waits_and_then_one_a_second(started):
    now = [0.0]
    url = f"http://127.0.0.1:{started.port}"
    limits = gateway.Limits(url, started.key, timeout=0.2, clock=lambda: now[0])
    waits = []
    attempt = limits._try
    limits._try = lambda *asked: waits.append(1) or attempt(*asked)
    frozen = [started.pid, *started.workers]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(13):
            with pytest.raises(gateway.LimitsUnavailable), limits.call("gpt-4o"):
                pytest.fail("the call must not be made")
        assert len(waits) <= 3 * gateway.TRIES
        before = len(waits)
        now[0] = 1.0
        with suppress(gateway.LimitsUnavailable), limits.call("gpt-4o"):
            pytest.fail("the call must not be made")
        assert before < len(waits) <= before + gateway.TRIES
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    now[0], limits.timeout = 2.0, DEADLINE
    with limits.call("gpt-4o") as call:
        assert call.reservation_id
