"""The recipe for LiteLLM, with the real proxy, the real service and a model server (`make litellm`)."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.model_server import ModelServer

pytestmark = pytest.mark.litellm

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "examples" / "gateways" / "litellm"
ADMIN_KEY = "gov-the-admin-key-of-the-recipe-0123456789"
AUTH = """
from litellm.proxy._types import UserAPIKeyAuth
async def user_api_key_auth(request, api_key):
    alias, _, user = api_key.removeprefix("sk-").partition(".")
    return UserAPIKeyAuth(api_key=api_key, key_alias=alias, user_id=user or "ann")
"""
"""Stands in for LiteLLM's database of keys: a key is `sk-<alias>` or `sk-<alias>.<user>`."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def send(port: int, path: str, body: Any = None, key: str = ADMIN_KEY) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def until_ready(port: int, path: str) -> None:
    for _ in range(600):
        try:
            if send(port, path)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"port {port} does not answer")


class Stack:
    """The proxy and the service behind it."""

    def __init__(self, proxy: int, service: int, model: ModelServer) -> None:
        self.proxy, self.service, self.model = proxy, service, model

    def manage(self, path: str, body: Any) -> Any:
        status, answer = send(self.service, f"/api/governance/{path}", body)
        assert status == 200, answer
        return json.loads(answer)

    def ask(self, key: str, text: str = "Hello", model: str = "gpt-4o", **more: Any) -> tuple[int, bytes]:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 100, **more}
        return send(self.proxy, "/v1/chat/completions", body, f"sk-{key}")

    def reservations(self, key: str, count: int) -> list[dict[str, Any]]:
        """Return the reservations of a key, once there are so many and none is open.

        LiteLLM settles after its answer.
        """
        query = f"since=2020-01-01T00:00:00Z&virtual_key_id={key}&limit=100"
        for _ in range(100):
            found = json.loads(send(self.service, f"/api/governance/reservations?{query}")[1])["reservations"]
            if len(found) >= count and all(each["status"] != "open" for each in found):
                break
            time.sleep(0.1)
        assert len(found) == count, found
        return list(found)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder, model = tmp_path_factory.mktemp("litellm"), ModelServer()
    model.go_on.set()
    service, proxy = free_port(), free_port()
    config = (RECIPE / "config.yaml").read_text()
    own = config.replace("general_settings:", "general_settings:\n  custom_auth: own_auth.user_api_key_auth")
    (folder / "config.yaml").write_text(own)
    (folder / "own_auth.py").write_text(AUTH)
    (folder / "limits_callback.py").write_text((RECIPE / "limits_callback.py").read_text())
    common = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    limits = {"PORT": str(service), "GOVERNANCE_INSTANCE": str(folder), "GOVERNANCE_ADMIN_KEY": ADMIN_KEY}
    environ = {
        "GOVERNANCE_URL": f"http://127.0.0.1:{service}",
        "GOVERNANCE_KEY": ADMIN_KEY,
        "OPENAI_API_KEY": "sk-upstream",
        "OPENAI_API_BASE": f"http://127.0.0.1:{model.server_port}/v1",
        "ANTHROPIC_API_KEY": "sk-upstream",
        "ANTHROPIC_API_BASE": f"http://127.0.0.1:{model.server_port}",
        "LITELLM_MASTER_KEY": "sk-master",
        "PYTHONPATH": str(folder),
    }
    command = [str(Path(sys.executable).with_name("litellm")), "--config", "config.yaml", "--port", str(proxy)]
    with (
        subprocess.Popen([str(ROOT / ".venv/bin/gunicorn"), "wsgi:app"], cwd=ROOT, env=common | limits) as gunicorn,
        subprocess.Popen([*command, "--host", "127.0.0.1"], cwd=folder, env=common | environ) as litellm,
    ):
        try:
            until_ready(service, "/readyz")
            until_ready(proxy, "/health/liveliness")
            yield Stack(proxy, service, model)
        finally:
            litellm.terminate()
            gunicorn.terminate()
            model.stop()


def limited(stack: Stack, key: str, **limit: Any) -> None:
    stack.manage("virtual-keys", {"id": key, "name": key})
    stack.manage("model-configs", {"model_name": "*", "scope": "virtual_key", "scope_id": key, **limit})


def test_a_call_and_a_stream_are_settled_with_their_tokens_and_dollars(stack: Stack) -> None:
    limited(stack, "search", budget={"max_limit": 1, "reset_duration": "1d"})
    assert stack.ask("search")[0] == 200
    status, text = stack.ask("search", stream=True)
    assert (status, b"[DONE]" in text) == (200, True)
    for held in stack.reservations("search", 2):
        assert (held["status"], held["tokens"]["used"], held["user_id"]) == ("settled", 18, "ann")
        assert held["cost"]["used"] == pytest.approx((11 * 2.5 + 7 * 10) / 10**6)
    assert {request.headers["authorization"] for request in stack.model.requests} == {"Bearer sk-upstream"}


def test_a_used_up_budget_falls_back_to_the_cheaper_model(stack: Stack) -> None:
    stack.manage("virtual-keys", {"id": "poor", "name": "poor"})
    budget = {"max_limit": 0.0001, "reset_duration": "1d"}
    stack.manage(
        "model-configs", {"model_name": "gpt-4o", "scope": "virtual_key", "scope_id": "poor", "budget": budget}
    )
    status, answer = stack.ask("poor")
    assert (status, json.loads(answer)["model"]) == (200, "gpt-4o-mini")
    (held,) = stack.reservations("poor", 1)
    assert (held["model"], held["status"]) == ("gpt-4o-mini", "settled")


def test_refusals_have_their_statuses_and_our_sentence(stack: Stack) -> None:
    limited(stack, "none", budget={"max_limit": 0.000001, "reset_duration": "1d"})
    status, answer = stack.ask("none", model="gpt-4o-mini")
    assert (status, b"Ask for less: the limit of $0.000001" in answer) == (402, True)
    limited(stack, "small", rate_limit={"token_max_limit": 10, "token_reset_duration": "1h"})
    assert stack.ask("small", model="gpt-4o-mini")[0] == 429
    assert stack.ask("unknown")[0] == 403


def test_a_pass_through_endpoint_is_refused(stack: Stack) -> None:
    limited(stack, "sly", budget={"max_limit": 1, "reset_duration": "1d"})
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    status, answer = send(stack.proxy, "/anthropic/v1/messages", body, "sk-sly")
    assert (status, b"pass-through" in answer) == (403, True)


def test_a_clients_wish_not_to_be_logged_keeps_no_call_from_being_settled(stack: Stack) -> None:
    limited(stack, "shy", budget={"max_limit": 1, "reset_duration": "1d"})
    assert stack.ask("shy", **{"no-log": True})[0] == 200
    assert stack.reservations("shy", 1)[0]["tokens"]["used"] == 18


def test_each_failed_attempt_is_released(stack: Stack) -> None:
    limited(stack, "unlucky", budget={"max_limit": 1, "reset_duration": "1d"})
    assert stack.ask("unlucky", "Fail 503", model="gpt-4o-mini")[0] >= 500
    assert {each["status"] for each in stack.reservations("unlucky", 2)} == {"released"}


def test_of_50_calls_at_once_exactly_as_many_pass_as_the_cap_allows(stack: Stack) -> None:
    limited(stack, "busy", rate_limit={"request_max_limit": 10, "request_reset_duration": "1d"})
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: stack.ask("busy", model="gpt-4o-mini")[0], range(50)))
    assert (statuses.count(200), statuses.count(429)) == (10, 40)
    assert len(stack.reservations("busy", 10)) == 10


def test_a_stream_of_each_provider_is_settled(stack: Stack) -> None:
    limited(stack, "streams", budget={"max_limit": 1, "reset_duration": "1d"})
    body = {"model": "claude", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100, "stream": True}
    for path in ("/v1/chat/completions", "/v1/messages"):
        status, text = send(stack.proxy, path, body, "sk-streams")
        assert (status, b"Hel" in text) == (200, True)
    for held in stack.reservations("streams", 2):
        assert (held["status"], held["provider"], held["tokens"]["used"]) == ("settled", "anthropic", 18)


def test_a_retry_is_settled_and_the_failed_attempt_before_it_released(stack: Stack) -> None:
    limited(stack, "again", budget={"max_limit": 1, "reset_duration": "1d"})
    assert stack.ask("again", "Once 503 plain", model="gpt-4o-mini")[0] == 200
    assert stack.ask("again", "Once 503 stream", model="gpt-4o-mini", stream=True)[0] == 200
    found = stack.reservations("again", 4)
    assert sorted((each["status"], each["tokens"]["used"]) for each in found) == [
        ("released", 0),
        ("released", 0),
        ("settled", 18),
        ("settled", 18),
    ]


def test_a_stream_falls_back_to_the_cheaper_model_after_a_402(stack: Stack) -> None:
    stack.manage("virtual-keys", {"id": "thrifty", "name": "thrifty"})
    own = {"scope": "virtual_key", "scope_id": "thrifty", "budget": {"max_limit": 0.0001, "reset_duration": "1d"}}
    stack.manage("model-configs", {"model_name": "gpt-4o", **own})
    status, text = stack.ask("thrifty", stream=True)
    assert (status, b"[DONE]" in text) == (200, True)
    (held,) = stack.reservations("thrifty", 1)
    assert (held["model"], held["status"], held["tokens"]["used"]) == ("gpt-4o-mini", "settled", 18)


def test_the_user_is_litellms_own_and_never_the_clients(stack: Stack) -> None:
    stack.manage("virtual-keys", {"id": "shared", "name": "shared"})
    stack.manage("users", {"id": "bob", "name": "Bob"})
    once = {"request_max_limit": 1, "request_reset_duration": "1d"}
    stack.manage("model-configs", {"model_name": "*", "scope": "user", "scope_id": "bob", "rate_limit": once})
    statuses = [stack.ask(key, model="gpt-4o-mini", user="eve")[0] for key in ("shared.bob", "shared.bob", "shared")]
    assert statuses == [200, 429, 200]
    assert {each["user_id"] for each in stack.reservations("shared", 2)} == {"ann", "bob"}


def test_what_extra_body_asks_for_is_held(stack: Stack) -> None:
    limited(stack, "sneaky", rate_limit={"token_max_limit": 2000, "token_reset_duration": "1d"})
    extra = {"max_tokens": 300, "n": 2}
    assert stack.ask("sneaky", model="gpt-4o-mini", extra_body=extra)[0] == 200
    assert {name: stack.model.requests[-1].body[name] for name in extra} == extra
    (held,) = stack.reservations("sneaky", 1)
    assert held["tokens"]["reserved"] > 600
    seen = len(stack.model.requests)
    assert stack.ask("sneaky", model="gpt-4o-mini", extra_body={"max_completion_tokens": 5000})[0] == 429
    assert stack.ask("sneaky", model="gpt-4o-mini", extra_body={"messages": [{"content": "x" * 3000}]})[0] == 429
    assert len(stack.model.requests) == seen


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"max_tokens": "many"}, b"Give max_tokens as a whole number"),
        ({"extra_body": {"max_tokens": 1.5}}, b"Give max_tokens as a whole number"),
        ({"extra_body": {"model": "gpt-5-pro"}}, b"Name the model as model alone"),
    ],
)
def test_amounts_that_cannot_be_read_are_400(stack: Stack, more: dict[str, Any], sentence: bytes) -> None:
    seen = len(stack.model.requests)
    status, answer = stack.ask("unclear", model="gpt-4o-mini", **more)
    assert (status, sentence in answer) == (400, True), answer
    assert len(stack.model.requests) == seen


def test_of_50_streams_at_once_exactly_as_many_pass_as_the_cap_allows(stack: Stack) -> None:
    limited(stack, "rush", rate_limit={"request_max_limit": 10, "request_reset_duration": "1d"})
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: stack.ask("rush", model="gpt-4o-mini", stream=True)[0], range(50)))
    assert (statuses.count(200), statuses.count(429)) == (10, 40)
    assert {each["tokens"]["used"] for each in stack.reservations("rush", 10)} == {18}


def test_a_stream_whose_reader_goes_away_is_settled_as_held(stack: Stack) -> None:
    limited(stack, "gone", budget={"max_limit": 1, "reset_duration": "1d"})
    message = {"role": "user", "content": "Hello"}
    body = json.dumps({"model": "gpt-4o-mini", "messages": [message], "max_tokens": 100, "stream": True})
    stack.model.go_on.clear()
    connection = HTTPConnection("127.0.0.1", stack.proxy, timeout=30)
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": "Bearer sk-gone"})
    assert b"Hel" in connection.getresponse().readline()
    connection.close()
    stack.model.go_on.set()
    (held,) = stack.reservations("gone", 1)
    assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])


def test_an_attempt_without_an_answer_may_be_billed_and_is_settled_as_held(stack: Stack) -> None:
    limited(stack, "silent", budget={"max_limit": 1, "reset_duration": "1d"})
    assert stack.ask("silent", "Vanish", model="gpt-4o-mini")[0] >= 500
    for held in stack.reservations("silent", 2):
        assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])
