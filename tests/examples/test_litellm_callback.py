"""The hooks of the LiteLLM callback, with the real service. `make litellm` runs them in the real proxy."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import httpx2
import pytest

from tests.conftest import ADMIN_KEY

RECIPE = Path(__file__).parents[2] / "examples" / "gateways" / "litellm" / "limits_callback.py"
CALL = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}


class Usage:
    """The usage of an answer, as LiteLLM has it."""

    def __init__(self, **counts):
        self.counts = counts

    def model_dump(self, **_):
        return self.counts


def stand_in():
    """Return the part of LiteLLM that the callback uses."""
    litellm, logger, integrations = ModuleType("litellm"), ModuleType("custom_logger"), ModuleType("integrations")
    logger.CustomLogger = type("CustomLogger", (), {})
    for name in ("ServiceUnavailableError", "RateLimitError", "PermissionDeniedError", "BadRequestError"):
        error = type(name, (Exception,), {"__init__": lambda self, message, **_: Exception.__init__(self, message)})
        setattr(litellm, name, error)
    payment = type("PaymentRequiredError", (litellm.BadRequestError,), {})
    litellm.exceptions = SimpleNamespace(PaymentRequiredError=payment)
    litellm.verbose_logger = SimpleNamespace(warning=lambda *_: None)
    litellm.get_llm_provider = lambda model: (model.rpartition("/")[2], "openai", None, None)
    return {"litellm": litellm, "litellm.integrations": integrations, "litellm.integrations.custom_logger": logger}


@pytest.fixture
def load(monkeypatch):
    """Return a function that loads the callback for a service."""

    def load(url):
        monkeypatch.setenv("GOVERNANCE_URL", url)
        monkeypatch.setenv("GOVERNANCE_KEY", ADMIN_KEY)
        for name, module in (stand_in() | {"httpx": httpx2}).items():
            monkeypatch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location("limits_callback", RECIPE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def callback(load, serve, app):
    return load(serve(app))


def the_reservation(api):
    (found,) = api.get("reservations").get_json()["reservations"]
    return found


def run(callback, act):
    """Run an act with the hooks, in a loop of its own."""

    async def whole():
        limits = callback.ModelLimits()
        try:
            return await act(limits)
        finally:
            await limits._client.aclose()

    return asyncio.run(whole())


def test_an_attempt_is_settled_with_its_usage(api, callback):
    api.post("virtual-keys", {"id": "search", "name": "Search"})
    whom = {"user_api_key_alias": "search", "user_api_key_user_id": "ann"}
    details = {"cached_tokens": 4}
    usage = Usage(prompt_tokens=12, completion_tokens=7, prompt_tokens_details=details, cache_creation_input_tokens=3)

    async def act(limits):
        kwargs = await limits.async_pre_call_deployment_hook(dict(CALL, metadata=dict(whom)), None)
        logged = {"litellm_params": {"metadata": kwargs["metadata"]}}
        for _ in range(2):
            await limits.async_log_success_event(logged, SimpleNamespace(usage=usage), None, None)

    run(callback, act)
    held = the_reservation(api)
    assert (held["status"], held["virtual_key_id"], held["user_id"]) == ("settled", "search", "ann")
    assert (held["provider"], held["tokens"]["used"]) == ("openai", 19)
    assert api.get("usage/history").get_json()["sum"]["cached_tokens"] == 4


def test_a_failed_attempt_is_released_and_a_broken_stream_settles_as_held(api, callback):
    async def act(limits):
        failed = await limits.async_pre_call_deployment_hook(dict(CALL), None)
        await limits.async_post_call_failure_deployment_hook(failed, ValueError(), None)
        broken = await limits.async_pre_call_deployment_hook(dict(CALL), None)
        await limits.async_log_failure_event({"litellm_params": broken}, None, None, None)

    run(callback, act)
    broken, failed = api.get("reservations").get_json()["reservations"]
    assert (failed["status"], broken["status"]) == ("released", "settled")
    assert broken["tokens"]["used"] == broken["tokens"]["reserved"]


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ({"budget": {"max_limit": 0.000001, "reset_duration": "1d"}}, "PaymentRequiredError"),
        ({"rate_limit": {"token_max_limit": 5, "token_reset_duration": "1h"}}, "BadRequestError"),
    ],
)
def test_a_refusal_is_the_error_that_fits(api, callback, limit, error):
    api.create("*", **limit)

    async def act(limits):
        await limits.async_pre_call_deployment_hook(dict(CALL), None)

    with pytest.raises(Exception, match="Ask for less") as refused:
        run(callback, act)
    assert type(refused.value).__name__ == error


def test_a_full_window_is_a_rate_limit_and_an_unknown_key_a_permission(api, callback):
    api.create("*", rate_limit={"request_max_limit": 1, "request_reset_duration": "1h"})

    async def act(limits):
        await limits.async_pre_call_deployment_hook(dict(CALL), None)
        with pytest.raises(Exception, match="Wait until") as full:
            await limits.async_pre_call_deployment_hook(dict(CALL), None)
        with pytest.raises(Exception, match="virtual key") as unknown:
            await limits.async_pre_call_deployment_hook(dict(CALL, metadata={"user_api_key_alias": "no"}), None)
        return type(full.value).__name__, type(unknown.value).__name__

    assert run(callback, act) == ("RateLimitError", "PermissionDeniedError")


@pytest.mark.parametrize("is_open", [False, True])
def test_without_the_service_calls_are_refused_or_pass(load, monkeypatch, is_open):
    callback = load("http://127.0.0.1:9")
    monkeypatch.setattr(callback, "FAIL_OPEN", is_open)

    async def act(limits):
        return await limits.async_pre_call_deployment_hook(dict(CALL), None)

    if is_open:
        assert run(callback, act)["model"] == "gpt-4o"
    else:
        with pytest.raises(Exception, match="does not answer"):
            run(callback, act)
