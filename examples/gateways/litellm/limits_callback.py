"""LiteLLM's proxy within the limits of this service: each attempt is reserved before it and settled after it.

Put this file beside LiteLLM's config.yaml, and name it there: `callbacks: limits_callback.limits`. It reads

    GOVERNANCE_URL         the service, default http://127.0.0.1:8080
    GOVERNANCE_KEY         an API key of it with the scope `meter`
    LIMITS_FAIL_OPEN       1: calls pass unmetered while the service does not answer. Default: they are refused
    LIMITS_TIMEOUT         seconds for an act (reserve, settle) with all its tries, default 2
    LIMITS_OUTPUT_TOKENS   the output tokens held for a call that names no maximum, default 4096

A retry and a fallback are attempts of their own. A refusal is an error of its attempt, so that LiteLLM goes on to a
fallback; the client gets the service's status and sentence if no fallback passes.
"""

import asyncio
import json
import logging
import math
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextvars import ContextVar
from typing import Any

import httpx
import litellm
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

logger = logging.getLogger("limits")

API = "/api/governance/reservations"
TRIES, FAILURES, OPEN_SECONDS = 3, 3, 1.0
TTL_SECONDS = 900
MOST_OPEN = 100_000
"""The attempts under way that are remembered. LiteLLM may never tell the end of one; its hold expires."""
HOLD = "limits_reservation"
"""The name in LiteLLM's metadata that leads from the end of an attempt to its reservation."""
INPUTS = ("messages", "input", "prompt", "system", "instructions", "tools", "functions", "response_format", "query")
MAXIMA = (
    *("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens", "maxTokenCount"),
    *("max_new_tokens", "max_gen_len", "max_tokens_to_sample"),
)
CHOICES = ("n", "best_of", "candidateCount", "candidate_count", "num_generations", "numResults")
CONFIGS = (
    *("generationConfig", "generation_config", "inferenceConfig", "textGenerationConfig", "parameters"),
    "additionalModelRequestFields",
)
"""The objects of an upstream's own request that may contain maxima and choices. A client sends them in extra_body."""
MOST = 10**12
"""The largest number that the service takes."""
MEDIA = {"image_url", "image", "input_image", "input_audio", "audio", "file", "input_file", "document", "video_url"}
MEDIA_TOKENS = 4096
WITHOUT_OUTPUT = {"aembedding", "embedding", "arerank", "rerank", "amoderation", "moderation"}


class CallRefused(Exception):
    """The service refuses an attempt, or does not answer. `answer` is what the client gets if no fallback passes.

    While LiteLLM handles it, its status is 422: at 402 and 429 LiteLLM would retry, or stop the deployment for all.
    """

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(body["error"]["message"])
        self.status_code, self.message = 422, str(self)
        self.answer = HTTPException(status, {"error": dict(body["error"])}, dict(headers))


class UnreadableCall(Exception):
    """A call whose amounts cannot be read. Its text says what to do; `param` is the field."""

    def __init__(self, sentence: str, param: str) -> None:
        super().__init__(sentence)
        self.param = param


class Attempt:
    """An attempt under way. `has_begun`: its stream is being read; `is_cut`: its reader went away before the end."""

    def __init__(self, reservation_id: str) -> None:
        self.reservation_id, self.has_begun, self.is_cut = reservation_id, False, False


class Caller:
    """Who makes a request, as LiteLLM has authenticated it, and the latest attempt of the request."""

    def __init__(self, virtual_key_id: str | None, user_id: str | None) -> None:
        self.virtual_key_id, self.user_id = virtual_key_id, user_id
        self.attempt: Attempt | None = None


NOBODY = Caller(None, None)
caller: ContextVar[Caller] = ContextVar("limits_caller", default=NOBODY)


class LimitsService:
    """HTTP to the service. After FAILURES failures in a row, one request in OPEN_SECONDS tries; others fail at once."""

    def __init__(self, url: str, key: str, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout, self._clock, self._failures, self._next_try = timeout, clock, 0, 0.0
        self._settings = {"base_url": url, "headers": {"Authorization": f"Bearer {key}"}, "timeout": timeout}
        self._client: httpx.AsyncClient | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Post with one deadline over all tries. Raises OSError where there is no answer, or a 5xx."""
        if self._failures >= FAILURES and self._clock() < self._next_try:
            raise ConnectionError("it has just failed; it is tried again in a second")
        self._next_try = math.inf
        try:
            answer = await asyncio.wait_for(self._tries(path, body), self._timeout)
            self._failures = 0
        except (TimeoutError, httpx.HTTPError) as error:
            self._failures += 1
            raise ConnectionError(f"{type(error).__name__} {error}".strip()) from error
        finally:
            self._next_try = self._clock() + OPEN_SECONDS
        return answer

    async def _tries(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        self._client = self._client or httpx.AsyncClient(**self._settings)
        headers = {"Idempotency-Key": uuid.uuid4().hex} if path == API else {}
        for left in reversed(range(TRIES)):
            try:
                answer = await self._client.post(path, json=body, headers=headers)
                if answer.status_code < 500:
                    return answer
                answer.raise_for_status()
            except httpx.HTTPError:
                if not left:
                    raise
            await asyncio.sleep(0.05)
        raise AssertionError("unreachable")


class Limits(CustomLogger):
    """The hooks that LiteLLM calls. One for a proxy."""

    def __init__(self, service: LimitsService, *, fail_open: bool = False, output_tokens: int = 4096) -> None:
        super().__init__()
        self._service, self._fail_open, self._output_tokens = service, fail_open, output_tokens
        self._open: dict[str, Attempt] = {}

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        """Note who makes the request: the alias of LiteLLM's key is the virtual key's id here."""
        caller.set(Caller(user_api_key_dict.key_alias, user_api_key_dict.user_id))
        if call_type == "pass_through_endpoint":
            sentence = "Call the model through /v1: a pass-through endpoint cannot be held to its limits."
            raise HTTPException(403, {"error": {"message": sentence, "type": "permission", "code": "call_unknown"}})

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any]:
        """Reserve for an attempt. Raises CallRefused."""
        name = "litellm_metadata" if "litellm_metadata" in kwargs else "metadata"
        metadata = {key: value for key, value in (kwargs.get(name) or {}).items() if key != HOLD}
        try:
            asked = self._asked(kwargs, getattr(call_type, "value", ""))
        except UnreadableCall as error:
            told = {"message": str(error), "type": "invalid_request", "code": "invalid_body", "param": error.param}
            raise CallRefused(400, {"error": told}, {"x-should-retry": "false"}) from error
        reservation_id = await self._reserve(asked)
        if reservation_id is not None:
            self._open[reservation_id] = caller.get().attempt = Attempt(reservation_id)
            while len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
            metadata[HOLD] = reservation_id
        return {**kwargs, name: metadata}

    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """Release an attempt that failed, or settle it as held if the provider may bill it."""
        await self._fail(request_data, exception)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: AsyncIterator[Any], request_data: dict[str, Any]
    ) -> AsyncIterator[Any]:
        """Pass a stream on, and note whether its reader goes away before the end."""
        attempt = caller.get().attempt or Attempt("")
        attempt.has_begun = attempt.is_cut = True
        async for piece in response:
            yield piece
        attempt.is_cut = False

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Settle an attempt with its usage: once, when its answer or its stream has ended."""
        attempt = self._ended(kwargs.get("litellm_params") or {})
        if attempt is None:
            return
        usage = None if attempt.is_cut else getattr(response_obj, "usage", None)
        if kwargs.get("cache_hit"):  # LiteLLM's own cache answered
            await self._end(attempt, "release", {})
        else:
            await self._end(attempt, "settle", amounts(usage) if usage else {})

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Do the same for a stream that failed after its begin."""
        await self._fail(kwargs.get("litellm_params") or {}, kwargs.get("exception"))

    async def async_post_call_failure_hook(
        self, request_data: Any, original_exception: Exception, user_api_key_dict: Any, traceback_str: str | None = None
    ) -> HTTPException | None:
        """Give the client the service's status and sentence."""
        if not isinstance(original_exception, CallRefused):
            return None
        answer = original_exception.answer
        original_exception.status_code = answer.status_code  # /v1/messages answers from these two
        original_exception.message = str(original_exception)
        return answer

    def _asked(self, kwargs: Mapping[str, Any], call_type: str) -> dict[str, Any]:
        """Return what a call asks for: all its input as an upper bound, and the most output that it may have.

        Raises UnreadableCall.
        """
        model, provider, *_ = litellm.get_llm_provider(
            model=kwargs["model"], custom_llm_provider=kwargs.get("custom_llm_provider")
        )
        merged, extra = with_extra_body(kwargs)
        who = caller.get()
        return {
            "model": (kwargs.get("model_info") or {}).get("base_model") or model,
            "provider": provider,
            "virtual_key_id": who.virtual_key_id,
            "user_id": who.user_id,
            "input_tokens": max(input_of(kwargs, INPUTS), input_of(merged, {*INPUTS, *extra})),
            "output_tokens": 0
            if call_type in WITHOUT_OUTPUT
            else max(output_of(each, self._output_tokens) for each in (kwargs, merged)),
            "ttl_seconds": TTL_SECONDS,
        }

    async def _reserve(self, asked: Mapping[str, Any]) -> str | None:
        try:
            answer = await self._service.post(API, asked)
        except OSError as error:
            if self._fail_open:
                logger.warning("UNMETERED: the limits service does not answer (%s)", error)
                return None
            raise unavailable(f"Refused: the limits service does not answer ({error}).") from error
        try:
            body = answer.json()
            if answer.status_code == httpx.codes.OK:
                return str(body["reservation"]["id"])
            raise refused(answer, body)
        except (ValueError, LookupError, TypeError) as error:
            raise unavailable("Set GOVERNANCE_URL: what answers there is not the limits service.") from error

    def _ended(self, params: Mapping[str, Any]) -> Attempt | None:
        """Return the attempt that ends; None if it has already ended, or was never reserved."""
        found = (params.get(name) for name in ("litellm_metadata", "metadata"))
        ids = [each[HOLD] for each in found if isinstance(each, Mapping) and HOLD in each]
        return self._open.pop(ids[0], None) if ids else None

    async def _fail(self, params: Mapping[str, Any], exception: BaseException | None) -> None:
        attempt = self._ended(params)
        if attempt is not None:
            is_billed = attempt.has_begun or may_be_billed(exception)
            await self._end(attempt, "settle" if is_billed else "release", {})

    async def _end(self, attempt: Attempt, act: str, body: Mapping[str, Any]) -> None:
        path = f"{API}/{attempt.reservation_id}"
        try:
            answer = await self._service.post(f"{path}/{act}", body)
            if answer.status_code == httpx.codes.BAD_REQUEST and body:
                logger.warning("its usage is not taken, so the call is settled as it was held: %s", answer.text)
                answer = await self._service.post(f"{path}/settle", {})
            if answer.status_code != httpx.codes.OK:
                logger.warning("not told how a call ended, so its hold will expire: %s", answer.text)
        except OSError as error:
            logger.warning("not told how a call ended, so its hold will expire: %s", error)


def refused(answer: httpx.Response, body: Mapping[str, Any]) -> CallRefused:
    """Return a refusal of the service. A wrong API key is the proxy's fault, not the client's."""
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return unavailable("Set GOVERNANCE_KEY to an API key with the scope meter.")
    wait = answer.headers.get("Retry-After")
    headers = {"Retry-After": wait} if wait else {"x-should-retry": "false"}
    return CallRefused(answer.status_code, body, headers)


def unavailable(sentence: str) -> CallRefused:
    """Return the refusal of a call that cannot be metered."""
    logger.error(sentence)
    body = {"error": {"message": sentence, "type": "unavailable", "code": "limits_unavailable"}}
    return CallRefused(503, body, {"Retry-After": "1"})


def with_extra_body(kwargs: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return a call with the fields of its extra_body over its own, as LiteLLM sends it, and the extra_body.

    A provider whose own request has other names still gets the call's own values, so both are looked at. A model in
    extra_body is refused: some providers would call it in place of the one reserved. Raises UnreadableCall.
    """
    extra = kwargs.get("extra_body") or {}
    if not isinstance(extra, Mapping):
        raise UnreadableCall("Give extra_body as an object.", "extra_body")
    if extra.get("model") is not None:
        raise UnreadableCall("Name the model as model alone, not in extra_body.", "extra_body.model")
    return {**kwargs, **extra}, extra


def input_of(call: Mapping[str, Any], names: Collection[str]) -> int:
    """Return the most input tokens that these fields may have."""
    return sum(size(call[name]) for name in names if call.get(name))


def output_of(call: Mapping[str, Any], usual: int) -> int:
    """Return the most output tokens that a call may have: `usual` for each answer if it names no maximum."""
    answers = max(1, largest(call, CHOICES)) * prompts(call)
    return min((largest(call, MAXIMA) or usual) * answers, MOST)


def largest(call: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """Return the largest of these numbers in a call, or in one of its CONFIGS; 0 without any. Raises UnreadableCall."""
    found = [0]
    for place in ("", *CONFIGS):
        fields = call.get(place) if place else call
        for name in names if isinstance(fields, Mapping) else ():
            value = fields.get(name)
            if value is None:
                continue
            path = f"{place}.{name}" if place else name
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
                raise UnreadableCall(f"Give {path} as a whole number from 0 to {MOST}.", path)
            found.append(value)
    return max(found)


def prompts(call: Mapping[str, Any]) -> int:
    """Return the number of prompts of a text completion: a list of texts, or of lists of tokens, is several."""
    prompt = call.get("prompt")
    return len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1


def size(value: Any) -> int:
    """Return the most tokens of an input: the bytes of its text, and MEDIA_TOKENS for each image, sound or file."""
    if isinstance(value, Mapping):
        if value.get("type") in MEDIA:
            return MEDIA_TOKENS
        return sum(len(str(name)) + 1 + size(each) for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return sum(1 + size(each) for each in value)
    return len(value.encode(errors="replace")) + 1 if isinstance(value, str) else len(json.dumps(value, default=str))


def amounts(usage: Any) -> dict[str, int]:
    """Return LiteLLM's usage, which is of one form for all providers, as the amounts of a settle."""
    inputs, outputs = getattr(usage, "prompt_tokens_details", None), getattr(usage, "completion_tokens_details", None)
    by_age = getattr(inputs, "cache_creation_token_details", None)
    written = getattr(inputs, "cache_creation_tokens", None) or getattr(inputs, "cache_write_tokens", None) or 0
    written_1h = getattr(by_age, "ephemeral_1h_input_tokens", None) or 0
    found = {
        "input_tokens": usage.prompt_tokens,
        "cached_input_tokens": getattr(inputs, "cached_tokens", None),
        "cache_write_tokens": written - written_1h,
        "cache_write_1h_tokens": written_1h,
        "input_audio_tokens": getattr(inputs, "audio_tokens", None),
        "output_tokens": usage.completion_tokens,
        "output_audio_tokens": getattr(outputs, "audio_tokens", None),
    }
    return {name: int(count) for name, count in found.items() if count or name in ("input_tokens", "output_tokens")}


def may_be_billed(error: BaseException | None) -> bool:
    """Whether the provider may bill a failed attempt: it was sent, and no error came back as its answer."""
    cause = error
    while cause is not None and (cause is error or not hasattr(cause, "llm_provider")):  # those of earlier attempts
        if isinstance(cause, (httpx.ConnectError, httpx.ConnectTimeout, ConnectionRefusedError)):
            return False
        if isinstance(cause, (httpx.TransportError, asyncio.CancelledError)):
            return True
        cause = cause.__cause__ or cause.__context__
    status = getattr(error, "status_code", None)
    return not isinstance(status, int) or status < 400 or status == httpx.codes.REQUEST_TIMEOUT


limits = Limits(
    LimitsService(
        os.environ.get("GOVERNANCE_URL", "http://127.0.0.1:8080"),
        os.environ.get("GOVERNANCE_KEY", "").strip(),
        float(os.environ.get("LIMITS_TIMEOUT", "2")),
    ),
    fail_open=os.environ.get("LIMITS_FAIL_OPEN") == "1",
    output_tokens=int(os.environ.get("LIMITS_OUTPUT_TOKENS", "4096")),
)
