"""The example client against the real service, and a model endpoint that answers as it is told to."""

import importlib.util
import io
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from tests.conftest import ADMIN_KEY

EXAMPLE = Path(__file__).parents[2] / "examples" / "gateway.py"
REQUEST = json.dumps({"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]})


def load_example():
    spec = importlib.util.spec_from_file_location("gateway", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gateway = load_example()


@pytest.fixture
def service(serve, app):
    return serve(app)


@pytest.fixture
def limits(service):
    return gateway.Limits(service, ADMIN_KEY, timeout=5)


def model(status=200, answer=None):
    """A model endpoint, or anything that answers JSON."""
    return Response(json.dumps(answer or {}), status=status, content_type="application/json")


def stream(*events):
    """A model endpoint that answers with server-sent events, and what it sends."""
    text = "".join(f"data: {event}\n\n" for event in (*events, "[DONE]"))
    return Response(text, content_type="text/event-stream"), text


@pytest.fixture
def run(service, monkeypatch, capsys):
    """Run the example as a command; answers its exit code, what it printed and what it complained of."""

    def command(endpoint, *options, request=REQUEST, url=service, key=ADMIN_KEY):
        monkeypatch.setenv("GOVERNANCE_URL", url)
        monkeypatch.setenv("GOVERNANCE_KEY", key)
        monkeypatch.setattr(sys, "argv", ["gateway.py", *options, endpoint])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(request.encode())))
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


@pytest.mark.parametrize("body", ["", "no JSON", "[]", '{"usage": "much"}', '{"usage": {"total_tokens": 1}}'])
def test_an_answer_that_tells_no_usage_is_passed_on_and_settles_as_held(api, serve, run, body):
    code, printed, complaint = run(serve(Response(body)))
    held = the_reservation(api)
    assert (code, printed, complaint) == (0, body, "")
    assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])


def test_a_stream_is_passed_on_and_settles_as_held(api, serve, run):
    endpoint, sent = stream('{"choices": [{"delta": {"content": "Hi"}}], "usage": null}')
    code, printed, _ = run(serve(endpoint))
    held = the_reservation(api)
    assert (code, printed) == (0, sent)
    assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])


def test_a_stream_that_tells_its_usage_settles_with_the_last_that_it_told(api, serve, run):
    usages = [{"prompt_tokens": 8, "completion_tokens": out, "total_tokens": 8 + out} for out in (1, 2)]
    endpoint, sent = stream('{"usage": null}', *(json.dumps({"usage": usage}) for usage in usages))
    assert run(serve(endpoint))[:2] == (0, sent)
    assert (the_reservation(api)["tokens"]["used"], the_reservation(api)["cost"]["used"]) == (10, 0.00004)


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


@pytest.mark.parametrize("trouble", [TimeoutError(), ConnectionResetError(), json.JSONDecodeError("no", "", 0)])
def test_a_call_of_which_nobody_knows_settles_as_held(api, limits, trouble):
    with pytest.raises(type(trouble)), limits.call("gpt-4o", cost=Decimal("0.1")):
        raise trouble
    assert (the_reservation(api)["status"], the_reservation(api)["cost"]["used"]) == ("settled", 0.1)


def test_without_the_service_a_call_is_refused(serve, run):
    code, printed, complaint = run(serve(model(answer={"id": "a"})), url="http://127.0.0.1:9")
    assert (code, printed) == (1, "")
    assert "limits service" in complaint


def test_without_the_service_a_call_passes_where_that_was_chosen(serve, run):
    code, printed, _ = run(serve(model(answer={"id": "a"})), "--fail-open", url="http://127.0.0.1:9")
    assert (code, json.loads(printed)) == (0, {"id": "a"})


def test_a_service_in_trouble_lets_a_call_pass_where_that_was_chosen(serve, run):
    code, printed, _ = run(serve(model(answer={"id": "a"})), "--fail-open", url=serve(model(status=503)))
    assert (code, json.loads(printed)) == (0, {"id": "a"})


MISTAKES = [
    ({"key": "gov-nobody"}, "API key"),
    ({"key": "no key at all"}, "API key"),
    ({"request": json.dumps({"model": ""})}, "model"),
]


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES)
def test_a_mistake_of_the_caller_is_refused_in_the_service_s_words_also_where_calls_may_pass(
    serve, run, mistake, sentence
):
    asked = []
    code, printed, complaint = run(serve(lambda *args: asked.append(1) or model()(*args)), "--fail-open", **mistake)
    assert (code, printed, asked) == (1, "", [])
    assert sentence in complaint
    assert complaint.count("\n") == 1


def test_an_unknown_virtual_key_is_refused_also_where_calls_may_pass(serve, run):
    code, _, complaint = run(serve(model()), "--fail-open", "--virtual-key", "nobody")
    assert code == 1
    assert "virtual key" in complaint


@pytest.mark.parametrize("page", [Response("<h1>Nothing here</h1>", status=404), Response("<h1>Hello</h1>")])
def test_what_is_no_limits_service_is_told_by_its_url(serve, run, page):
    code, _, complaint = run(serve(model()), "--fail-open", url=serve(page))
    assert (code, "Set the URL of the limits service" in complaint) == (1, True)


def test_a_missing_key_is_one_sentence(run):
    code, printed, complaint = run("http://127.0.0.1:9", key="")
    assert (code, printed, complaint) == (1, "", "Set GOVERNANCE_KEY to an API key with the scope meter.\n")


@pytest.mark.parametrize("request_", ["", "{", "[]", "{}", '{"model": "m", "max_tokens": "many"}'])
def test_a_request_that_is_none_is_one_sentence(api, run, request_):
    code, printed, complaint = run("http://127.0.0.1:9", request=request_)
    assert (code, printed, complaint.count("\n")) == (1, "", 1)
    assert complaint.startswith("Send the model's request, a JSON object with a model, on standard input (")
    assert api.get("reservations").get_json()["total_count"] == 0
