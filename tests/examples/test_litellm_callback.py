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


def stand_in():
    """Return the parts of LiteLLM and FastAPI that the callback uses."""
    litellm, logger, integrations = ModuleType("litellm"), ModuleType("custom_logger"), ModuleType("integrations")
    logger.CustomLogger = type("CustomLogger", (), {})
    litellm.get_llm_provider = lambda model, **_: (model.rpartition("/")[2], "openai", None, None)
    fastapi = ModuleType("fastapi")
    fastapi.HTTPException = HttpError
    names = {"litellm.integrations": integrations, "litellm.integrations.custom_logger": logger}
    return {"litellm": litellm, "fastapi": fastapi, "httpx": httpx2, **names}


class HttpError(Exception):
    """Stands in for FastAPI's HTTPException."""

    def __init__(self, status_code, detail, headers=None):
        super().__init__(detail)
        self.status_code, self.detail, self.headers = status_code, detail, headers


@pytest.fixture
def load(monkeypatch):
    """Return a function that loads the callback for a service."""

    def load(url):
        monkeypatch.setenv("GOVERNANCE_URL", url)
        monkeypatch.setenv("GOVERNANCE_KEY", ADMIN_KEY)
        for name, module in stand_in().items():
            monkeypatch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location("limits_callback", RECIPE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.URL_OF_TEST, module.ALIAS = url, None
        return module

    return load


@pytest.fixture
def callback(load, serve, app):
    return load(serve(app))


def the_reservation(api):
    (found,) = api.get("reservations").get_json()["reservations"]
    return found


def run(callback, act, **options):
    """Run an act with the hooks, in a loop of its own."""

    async def whole():
        service = callback.LimitsService(callback.URL_OF_TEST, ADMIN_KEY, 2.0)
        limits = callback.Limits(service, **options)
        await limits.async_pre_call_hook(
            SimpleNamespace(key_alias=callback.ALIAS, user_id="ann"), None, {}, "acompletion"
        )
        try:
            return await act(limits)
        finally:
            if service._client is not None:
                await service._client.aclose()

    return asyncio.run(whole())


def usage(**counts):
    """Return a usage in LiteLLM's form."""
    details = SimpleNamespace(
        cached_tokens=counts.pop("cached", None), cache_creation_tokens=counts.pop("written", None)
    )
    return SimpleNamespace(
        usage=SimpleNamespace(prompt_tokens_details=details, completion_tokens_details=None, **counts)
    )


def logged(kwargs, **more):
    return {"litellm_params": {"metadata": kwargs["metadata"]}, **more}


def test_an_attempt_is_settled_with_its_usage_once(api, callback):
    api.post("virtual-keys", {"id": "search", "name": "Search"})
    callback.ALIAS = "search"
    answer = usage(prompt_tokens=12, completion_tokens=7, cached=4, written=3)

    async def act(limits):
        kwargs = await limits.async_pre_call_deployment_hook(dict(CALL), None)
        for _ in range(2):
            await limits.async_log_success_event(logged(kwargs), answer, None, None)

    run(callback, act)
    held = the_reservation(api)
    assert (held["status"], held["virtual_key_id"], held["user_id"]) == ("settled", "search", "ann")
    assert (held["provider"], held["tokens"]["used"]) == ("openai", 19)
    assert api.get("usage/history").get_json()["sum"]["cached_tokens"] == 4


def test_what_failed_is_released_and_what_may_be_billed_settles_as_held(api, callback):
    answered = HttpError(500, "overloaded")

    async def act(limits):
        failed = await limits.async_pre_call_deployment_hook(dict(CALL), None)
        await limits.async_post_call_failure_deployment_hook(failed, answered, None)
        silent = await limits.async_pre_call_deployment_hook(dict(CALL), None)
        await limits.async_post_call_failure_deployment_hook(silent, httpx2.ReadTimeout("too slow"), None)

    run(callback, act)
    silent, failed = api.get("reservations").get_json()["reservations"]
    assert (failed["status"], silent["status"]) == ("released", "settled")
    assert silent["tokens"]["used"] == silent["tokens"]["reserved"]


def test_a_stream_whose_reader_goes_away_settles_as_held(api, callback):
    async def pieces():
        yield "first"
        yield "second"

    async def act(limits):
        kwargs = await limits.async_pre_call_deployment_hook(dict(CALL), None)
        stream = limits.async_post_call_streaming_iterator_hook(None, pieces(), {})
        assert await anext(stream) == "first"
        await stream.aclose()
        answer = usage(prompt_tokens=2, completion_tokens=1)
        await limits.async_log_success_event(logged(kwargs), answer, None, None)

    run(callback, act)
    held = the_reservation(api)
    assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])


def test_an_answer_of_litellms_cache_is_released(api, callback):
    async def act(limits):
        kwargs = await limits.async_pre_call_deployment_hook(dict(CALL), None)
        answer = usage(prompt_tokens=2, completion_tokens=1)
        await limits.async_log_success_event(logged(kwargs, cache_hit=True), answer, None, None)

    run(callback, act)
    assert the_reservation(api)["status"] == "released"


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        ({"budget": {"max_limit": 0.000001, "reset_duration": "1d"}}, 402),
        ({"rate_limit": {"token_max_limit": 5, "token_reset_duration": "1h"}}, 429),
    ],
)
def test_the_client_gets_the_status_and_the_sentence_of_a_refusal(api, callback, limit, status):
    api.create("*", **limit)

    async def act(limits):
        with pytest.raises(callback.CallRefused) as refused:
            await limits.async_pre_call_deployment_hook(dict(CALL), None)
        return await limits.async_post_call_failure_hook({}, refused.value, None)

    answer = run(callback, act)
    assert (answer.status_code, answer.headers) == (status, {"x-should-retry": "false"})
    assert answer.detail["error"]["message"].startswith("Ask for less")


async def hold(limits, call_type=None, **more):
    return await limits.async_pre_call_deployment_hook(CALL | more, call_type)


@pytest.mark.parametrize(
    ("more", "output"),
    [
        ({}, 100),
        ({"extra_body": None}, 100),
        ({"extra_body": {"max_tokens": 5000}}, 5000),
        ({"extra_body": {"max_tokens": 7}}, 100),
        ({"extra_body": {"max_tokens": None}}, 4096),
        ({"extra_body": {"max_completion_tokens": 5000}}, 5000),
        ({"extra_body": {"n": 3}}, 300),
        ({"n": 9, "extra_body": {"n": 3}}, 900),
        ({"extra_body": {"best_of": 4}}, 400),
        ({"extra_body": {"generationConfig": {"maxOutputTokens": 900, "candidateCount": 2}}}, 1800),
        ({"extra_body": {"inferenceConfig": {"maxTokens": 900}}}, 900),
        ({"max_tokens": 0}, 4096),
        ({"n": 0}, 100),
        ({"prompt": ["a", "b", "c"]}, 300),
        ({"prompt": [1, 2, 3]}, 100),
        ({"max_tokens": 10**12, "n": 9}, 10**12),
    ],
)
def test_output_is_held_as_the_upstream_may_get_it(callback, more, output):
    limits = callback.Limits(None)
    assert limits._asked(CALL | more, "acompletion")["output_tokens"] == output


@pytest.mark.parametrize(
    "extra", [{"messages": [{"content": "x" * 5000}]}, {"input": "x" * 5000}, {"documents": ["x" * 5000]}]
)
def test_input_in_extra_body_is_held_too(callback, extra):
    limits = callback.Limits(None)
    plain = limits._asked(CALL, "acompletion")["input_tokens"]
    assert limits._asked(CALL | {"extra_body": extra}, "acompletion")["input_tokens"] > plain + 4900
    assert limits._asked(CALL | {"extra_body": {"messages": []}}, "acompletion")["input_tokens"] == plain


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"max_tokens": "100"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": [100]}, "max_tokens"),
        ({"max_tokens": 10**13}, "max_tokens"),
        ({"n": "many"}, "n"),
        ({"extra_body": {"max_completion_tokens": {}}}, "max_completion_tokens"),
        ({"extra_body": {"generationConfig": {"maxOutputTokens": "9"}}}, "generationConfig.maxOutputTokens"),
        ({"extra_body": "max_tokens=9"}, "extra_body"),
        ({"extra_body": {"model": "gpt-5-pro"}}, "extra_body.model"),
    ],
)
def test_amounts_that_cannot_be_read_are_400_and_hold_nothing(api, callback, more, param):
    async def act(limits):
        with pytest.raises(callback.CallRefused) as refused:
            await hold(limits, **more)
        return await limits.async_post_call_failure_hook({}, refused.value, None)

    answer = run(callback, act)
    error = answer.detail["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_body", param)
    assert error["message"].startswith(("Give ", "Name the model"))
    assert api.get("reservations").get_json()["total_count"] == 0


def test_what_extra_body_asks_for_counts_against_the_limit(api, callback):
    api.create("*", rate_limit={"token_max_limit": 1000, "token_reset_duration": "1h"})

    async def act(limits):
        await hold(limits)
        with pytest.raises(callback.CallRefused) as refused:
            await hold(limits, extra_body={"max_tokens": 5000})
        return refused.value.answer.status_code

    assert run(callback, act) == 429


def test_a_pass_through_endpoint_is_refused(callback):
    async def act(limits):
        whom = SimpleNamespace(key_alias=None, user_id=None)
        await limits.async_pre_call_hook(whom, None, {}, "pass_through_endpoint")

    with pytest.raises(HttpError) as refused:
        run(callback, act)
    assert refused.value.status_code == 403


@pytest.mark.parametrize("is_open", [False, True])
def test_without_the_service_calls_are_refused_or_pass(load, is_open):
    callback = load("http://127.0.0.1:9")

    async def act(limits):
        return await limits.async_pre_call_deployment_hook(dict(CALL), None)

    if is_open:
        assert run(callback, act, fail_open=True)["model"] == "gpt-4o"
    else:
        with pytest.raises(callback.CallRefused) as refused:
            run(callback, act)
        assert refused.value.answer.status_code == 503


def test_media_count_as_assumed_tokens_and_text_by_its_bytes(callback):
    text = callback.size([{"role": "user", "content": "é" * 100}])
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    assert 200 <= text < 300
    assert callback.size([{"role": "user", "content": [image]}]) < 5000
