"""The example client against the real service, and a model endpoint that answers as it is told to."""

import importlib.util
import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from tests.conftest import ADMIN_KEY

EXAMPLE = Path(__file__).parents[2] / "examples" / "gateway.py"
REQUEST = {"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


def load_example():
    spec = importlib.util.spec_from_file_location("gateway", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gateway = load_example()


@pytest.fixture
def serve():
    """Serve WSGI apps on ports of their own; answers their addresses."""
    servers = []

    def start(app):
        server = make_server("127.0.0.1", 0, app, threaded=True)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def service(serve, app):
    return serve(app)


@pytest.fixture
def limits(service):
    return gateway.Limits(service, ADMIN_KEY, timeout=5)


def model(status=200, answer=None):
    """A model endpoint."""
    return Response(json.dumps(answer or {}), status=status, content_type="application/json")


@pytest.fixture
def run(service, monkeypatch, capsys):
    """Run the example as a command; answers its exit code, what it printed and what it complained of."""

    def command(endpoint, *options, request=REQUEST, url=service):
        monkeypatch.setenv("GOVERNANCE_URL", url)
        monkeypatch.setenv("GOVERNANCE_KEY", ADMIN_KEY)
        monkeypatch.setattr(
            sys, "argv", ["gateway.py", "--input-price", "2.5", "--output-price", "10", *options, endpoint]
        )
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(request).encode())))
        code = gateway.main()
        return code, *capsys.readouterr()

    return command


def the_reservation(api):
    (found,) = api.get("reservations").get_json()["reservations"]
    return found


def test_a_call_is_settled_with_what_the_model_says_it_used(api, serve, run):
    usage = {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}
    code, printed, _ = run(serve(model(answer={"id": "a", "usage": usage})))
    held = the_reservation(api)
    assert (code, json.loads(printed)["id"]) == (0, "a")
    assert (held["status"], held["tokens"]["used"], held["cost"]["used"]) == ("settled", 10, 0.00004)
    assert held["overrun"] == {"tokens": 0, "cost": 0}


def test_a_model_that_refuses_gives_the_hold_back(api, serve, run):
    code, _, complaint = run(serve(model(status=400)))
    assert code == 1
    assert "400" in complaint
    assert the_reservation(api)["status"] == "released"


def test_a_model_that_cannot_be_reached_gives_the_hold_back(api, run):
    code, *_ = run("http://127.0.0.1:9/nobody")
    assert (code, the_reservation(api)["status"]) == (1, "released")


def test_a_denied_call_never_reaches_the_model_and_says_why(api, serve, run):
    api.create("gpt-4o", budgets=[{"max_limit": 0.000001, "reset_duration": "1d"}])
    asked = []
    code, _, complaint = run(serve(lambda *args: asked.append(1) or model()(*args)))
    assert (code, asked) == (1, [])
    assert "gpt-4o" in complaint


def test_a_denial_tells_the_word_the_rules_and_how_long_to_wait(api, limits):
    api.create("gpt-4o", rate_limits=[{"request_max_limit": 1, "request_reset_duration": "1m"}])
    with limits.call("gpt-4o"):
        pass
    with pytest.raises(gateway.Denied) as denial, limits.call("gpt-4o"):
        pytest.fail("the call must not be made")
    assert denial.value.word == "request_limited"
    assert [rule["metric"] for rule in denial.value.violations] == ["requests"]
    assert denial.value.retry_after == 60


def test_a_call_that_says_nothing_settles_as_held(api, limits):
    with limits.call("gpt-4o", cost=Decimal("0.1")):
        pass
    assert the_reservation(api)["cost"] == {"reserved": 0.1, "used": 0.1}


@pytest.mark.parametrize("trouble", [TimeoutError, ConnectionResetError])
def test_a_call_of_which_nobody_knows_settles_as_held(api, limits, trouble):
    with pytest.raises(trouble), limits.call("gpt-4o", cost=Decimal("0.1")):
        raise trouble
    assert (the_reservation(api)["status"], the_reservation(api)["cost"]["used"]) == ("settled", 0.1)


def test_without_the_service_a_call_is_refused(serve, run):
    code, printed, complaint = run(serve(model(answer={"id": "a"})), url="http://127.0.0.1:9")
    assert (code, printed) == (1, "")
    assert "limits service" in complaint


def test_without_the_service_a_call_passes_where_that_was_chosen(serve, run):
    code, printed, _ = run(serve(model(answer={"id": "a"})), "--fail-open", url="http://127.0.0.1:9")
    assert (code, json.loads(printed)) == (0, {"id": "a"})
