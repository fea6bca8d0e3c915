"""A LiteLLM callback: reserve before each attempt of a call, settle or release after it.

LiteLLM calls these hooks for every attempt, so each retry and each fallback has a reservation of its own. A refusal
counts as a failure of the model, so LiteLLM tries the fallbacks that its configuration names.

LiteLLM's own key and user decide who pays: the alias of the key is the id of the virtual key here.
"""

import json
import os
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx
import litellm
from litellm.integrations.custom_logger import CustomLogger

URL = os.environ.get("GOVERNANCE_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("GOVERNANCE_KEY", "")
FAIL_OPEN = os.environ.get("MODEL_LIMITS_FAIL_OPEN") == "1"
"""Whether calls pass unmetered while the limits service does not answer."""
USUAL_OUTPUT = 4096
"""The output tokens that a call holds if it names no maximum."""
HELD = "model_limits_reservation"
"""The key of a reservation's id in the metadata of an attempt."""


class ModelLimits(CustomLogger):
    """Keeps the calls of a LiteLLM proxy within the limits of the service."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__()
        headers = {"Authorization": f"Bearer {KEY}"}
        self._client = httpx.AsyncClient(base_url=URL, headers=headers, timeout=2.0, transport=transport)

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any]:
        """Reserve for an attempt. Raises the error of LiteLLM that fits the refusal."""
        del call_type
        asked, named = _asked(kwargs), {"model": kwargs["model"], "llm_provider": "model_limits"}
        try:
            answer = await self._client.post(
                "/api/governance/reservations", json=asked, headers={"Idempotency-Key": uuid4().hex}
            )
            answer = answer if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else answer.raise_for_status()
        except httpx.HTTPError as error:
            if FAIL_OPEN:
                litellm.verbose_logger.warning("UNMETERED: the limits service does not answer (%r)", error)
                return kwargs
            raise litellm.ServiceUnavailableError("The limits service does not answer.", **named) from error
        found = answer.json()
        if answer.status_code != HTTPStatus.OK:
            raise _refusal(answer.status_code, found, named)
        _metadata(kwargs)[HELD] = found["reservation"]["id"]
        return kwargs

    async def async_post_call_failure_deployment_hook(
        self, request_data: Any, exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """Release the reservation of an attempt that failed."""
        del exception, call_type, fallback_depth
        await self._end(_metadata(request_data), "release", {})

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Settle with the usage of the answer; for a stream, LiteLLM calls this at its end."""
        del start_time, end_time
        await self._end(_logged_metadata(kwargs), "settle", _usage(response_obj))

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Settle as held what is still open: a stream that broke off, which the provider may bill."""
        del response_obj, start_time, end_time
        await self._end(_logged_metadata(kwargs), "settle", {})

    async def _end(self, metadata: dict[str, Any], act: str, body: dict[str, Any]) -> None:
        """End the reservation of an attempt, once. If that does not get through, it expires at its estimate."""
        reservation_id = metadata.pop(HELD, None)
        if reservation_id is None:
            return
        path = f"/api/governance/reservations/{reservation_id}/{act}"
        try:
            answer = await self._client.post(path, json=body)
            if answer.status_code == HTTPStatus.BAD_REQUEST and body:
                # a usage that cannot be read settles as it was held
                await self._client.post(path, json={})
        except httpx.HTTPError as error:
            litellm.verbose_logger.warning("not told how a call ended, so its hold will expire: %r", error)


def _asked(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what an attempt asks for. Its bytes are an upper bound of its input tokens."""
    model, provider, *_ = litellm.get_llm_provider(model=kwargs["model"])
    content = [kwargs.get(name) for name in ("messages", "input", "prompt", "tools") if kwargs.get(name)]
    size = len(json.dumps(content, default=str, ensure_ascii=False).encode())
    most = [kwargs[name] for name in ("max_tokens", "max_completion_tokens") if kwargs.get(name)]
    metadata = _metadata(kwargs)
    whom = {
        "virtual_key_id": metadata.get("user_api_key_alias"),
        "user_id": metadata.get("user_api_key_user_id"),
    }
    output = max(most, default=USUAL_OUTPUT) * (kwargs.get("n") or 1)
    return {"model": model, "provider": provider, "input_tokens": size, "output_tokens": output, **whom}


def _metadata(kwargs: Any) -> dict[str, Any]:
    """Return the metadata of an attempt, in which LiteLLM keeps who makes the call."""
    name = "litellm_metadata" if "litellm_metadata" in kwargs else "metadata"
    if kwargs.get(name) is None:
        kwargs[name] = {}
    return kwargs[name]


def _logged_metadata(kwargs: Any) -> dict[str, Any]:
    params = kwargs.get("litellm_params") or {}
    return params.get("litellm_metadata") or params.get("metadata") or {}


def _usage(response: Any) -> dict[str, Any]:
    """Return the usage of an answer as the service reads it, with the tokens that were written to a cache."""
    usage = getattr(response, "usage", None)
    if usage is None:
        return {}
    found = usage.model_dump(exclude_none=True)
    written = found.get("cache_creation_input_tokens")
    if written:
        found["prompt_tokens_details"] = {**found.get("prompt_tokens_details", {}), "cache_write_tokens": written}
    return {"usage": found}


def _refusal(status: int, found: dict[str, Any], named: dict[str, str]) -> Exception:
    """Return the error that LiteLLM shows its client with the same status.

    LiteLLM tries again after a 429. A call that is larger than its whole limit is a 400, since it never fits.
    """
    message = found["error"]["message"]
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return litellm.exceptions.PaymentRequiredError(message, **named)
    if status == HTTPStatus.TOO_MANY_REQUESTS and found["extra_fields"].get("retryable"):
        return litellm.RateLimitError(message, **named)
    if status == HTTPStatus.FORBIDDEN:
        response = httpx.Response(403, request=httpx.Request("POST", URL))
        return litellm.PermissionDeniedError(message, response=response, **named)
    return litellm.BadRequestError(message, **named)


limits = ModelLimits()
