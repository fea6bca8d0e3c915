#!/usr/bin/env python3
"""Call any OpenAI-compatible model endpoint within its limits: reserve → call → settle, or release where it failed.

Usable as it is, with the standard library alone:

    export GOVERNANCE_KEY=gov-…            # an API key with the scope `meter`
    python examples/gateway.py --provider openai https://api.openai.com/v1/chat/completions < request.json

or as a module of your own gateway: `with Limits(url, key).call("gpt-4o", input_tokens=…, output_tokens=…) as call: …`.

The limits service knows prices: it is told the tokens, and computes the dollars.

What happens when things go wrong is stated, not left to chance:

- No room: `Denied`, with every rule that had none and, where waiting helps, how long.
- The limits service takes the call for a mistake (a wrong key or URL, an unknown virtual key): `Refused`, always.
- It does not answer in time, or with a 5xx: `fail_open=False` (the default) refuses the call, since an unmetered call
  is money; `fail_open=True` lets it pass unmetered and says so in the log.
- The model refuses or cannot be reached: the hold is released. It was sent and nobody knows (a timeout, a lost
  connection, an answer that tells no usage): the hold is settled as it stands, since the provider may bill it. A stream
  tells its usage where the request has `"stream_options": {"include_usage": true}`.
- The limits service cannot read the usage that the model told: the call is settled as it was held.
- The settle does not get through: it is tried again; after that, the hold expires and is charged at its estimate.
"""

import argparse
import http.client
import json
import logging
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

logger = logging.getLogger("gateway")

BYTES_PER_TOKEN = 3
TRIES = 3
NO_ANSWER = (OSError, http.client.HTTPException)
"""What urllib raises where the other side cannot be reached, is too slow, or breaks off."""
SENT_AND_UNKNOWN = (TimeoutError, ConnectionError, http.client.HTTPException, json.JSONDecodeError)
"""What a model's answer can end in after the request was sent: the provider may bill it. (urllib wraps the rest.)"""


class Refused(Exception):
    """The limits service does not take the call as it is; the sentence says what to do."""


class Denied(Refused):
    """A limit has no room. `word` is `budget_exceeded` or the like; `retry_after` seconds, None if waiting is vain."""

    def __init__(self, answer: dict[str, Any], retry_after: str | None) -> None:
        super().__init__(answer["error"]["message"])
        self.word = answer["error"]["type"]
        self.violations = answer["extra_fields"].get("violations", [])
        self.retry_after = None if retry_after is None else int(retry_after)


class LimitsUnavailable(Exception):
    """The limits service did not answer, and calls are refused without it."""


class Call:
    """A call under way: say what it used, or that it used nothing; said nothing, it settles as held."""

    def __init__(self, reservation_id: str | None) -> None:
        self.reservation_id = reservation_id
        self.act = "settle"
        self.amounts: dict[str, Any] = {}

    def used(
        self, *, usage: dict[str, Any] | None = None, tokens: int | None = None, cost: Decimal | None = None
    ) -> None:
        """Say what was used: the `usage` object of the model's answer as it came, or numbers of your own."""
        self.amounts = {"usage": usage, "tokens": tokens, "cost": cost}

    def used_nothing(self) -> None:
        """Say that nothing was used."""
        self.act, self.amounts = "release", {}


class Limits:
    """The limits service, as a gateway sees it. `timeout` is seconds for each request to it."""

    def __init__(self, url: str, key: str, *, timeout: float = 2.0, fail_open: bool = False) -> None:
        self.url, self.key, self.timeout, self.fail_open = url.rstrip("/"), key, timeout, fail_open

    @contextmanager
    def call(self, model: str, **asked: Any) -> Iterator[Call]:
        """Hold `asked` (provider, virtual_key, user_id, input_tokens, output_tokens, …) while the block runs.

        Raises Denied and Refused, and LimitsUnavailable where calls are refused without the service.
        """
        call = Call(self._reserve({"model": model, **asked}))
        try:
            yield call
        except SENT_AND_UNKNOWN:
            call.act, call.amounts = "settle", {}
            raise
        except BaseException:
            call.used_nothing()
            raise
        finally:
            self._end(call)

    def _reserve(self, ask: dict[str, Any]) -> str | None:
        try:
            answer = self._post("reservations", ask, {"Idempotency-Key": uuid.uuid4().hex})
        except NO_ANSWER as error:
            if not self.fail_open:
                raise LimitsUnavailable(f"Refused: the limits service does not answer ({error}).") from error
            logger.warning("UNMETERED: the limits service does not answer (%s)", error)
            return None
        return str(answer["reservation"]["id"])

    def _end(self, call: Call) -> None:
        if call.reservation_id is None:
            return
        path = f"reservations/{call.reservation_id}/{call.act}"
        try:
            try:
                self._post(path, call.amounts, {})
            except Refused as error:
                if not call.amounts.get("usage"):
                    raise
                logger.warning("its usage could not be read, so the call is settled as it was held: %s", error)
                self._post(path, {}, {})
        except (Refused, *NO_ANSWER) as error:
            logger.warning("not told how the call ended, so its hold will expire: %s", error)

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """Post, and try again where that is safe: every repeat gives the first answer."""
        sent = {**headers, "Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/governance/{path}", _json(body), sent)  # noqa: S310
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                if error.code < 500:  # noqa: PLR2004
                    raise _refusal(error) from error
                if not left:
                    raise
            except NO_ANSWER:
                if not left:
                    raise
            except ValueError as error:
                raise Refused(f"Set the URL of the limits service: {self.url} does not answer as one.") from error
        raise AssertionError("unreachable")


def _refusal(error: urllib.error.HTTPError) -> Refused:
    """What the limits service says in a 4xx; a page of something else names the URL."""
    try:
        answer = json.load(error)
        if answer["extra_fields"].get("decision") == "deny":
            return Denied(answer, error.headers.get("Retry-After"))
        return Refused(answer["error"]["message"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return Refused(f"Set the URL of the limits service: {error.url} answers {error.code} {error.reason}.")


def _json(body: dict[str, Any]) -> bytes:
    """JSON in which money stays exact: a Decimal becomes a number with its own digits, never a float."""
    parts = (
        f"{json.dumps(name)}: {value:f}" if isinstance(value, Decimal) else f"{json.dumps(name)}: {json.dumps(value)}"
        for name, value in body.items()
    )
    return ("{" + ", ".join(parts) + "}").encode()


def estimate(body: bytes, request: dict[str, Any], output_ceiling: int) -> tuple[int, int]:
    """Input and output tokens at most: so nothing is spent that was not held. Bytes / 3 is generous for prose."""
    output = request.get("max_completion_tokens") or request.get("max_tokens") or output_ceiling
    return len(body) // BYTES_PER_TOKEN + 1, int(output)


def main() -> int:
    """Send the request on standard input to a model endpoint, within its limits; print its answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("endpoint", help="the model endpoint, such as https://api.openai.com/v1/chat/completions")
    parser.add_argument("--provider", help="the provider, as the limits name it")
    parser.add_argument("--virtual-key", help="the virtual key that pays, by its value")
    parser.add_argument("--user", help="the user that pays")
    parser.add_argument("--output-ceiling", type=int, default=4096, help="tokens out, where the request sets no bound")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for the model's answer")
    parser.add_argument("--fail-open", action="store_true", help="without the limits service: call anyway, unmetered")
    options = parser.parse_args()
    try:
        answer = _within(_limits(options), options, sys.stdin.buffer.read())
    except (Refused, LimitsUnavailable, ValueError, *NO_ANSWER) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
    return 0


def _limits(options: argparse.Namespace) -> Limits:
    key = os.environ.get("GOVERNANCE_KEY", "").strip()
    if not key:
        raise ValueError("Set GOVERNANCE_KEY to an API key with the scope meter.")
    return Limits(os.environ.get("GOVERNANCE_URL", "http://127.0.0.1:8080"), key, fail_open=options.fail_open)


def _within(limits: Limits, options: argparse.Namespace, body: bytes) -> bytes:
    try:
        request = json.loads(body)
        model = request["model"]
        tokens_in, tokens_out = estimate(body, request, options.output_ceiling)
    except (ValueError, LookupError, TypeError) as error:
        sentence = f"Send the model's request, a JSON object with a model, on standard input ({error})."
        raise ValueError(sentence) from error
    asked = {
        "provider": options.provider,
        "virtual_key": options.virtual_key,
        "user_id": options.user,
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "ttl_seconds": int(options.timeout) + 60,
    }
    with limits.call(model, **asked) as call:
        answer = _ask_model(options, body)
        call.used(usage=_usage(answer))
    return answer


def _usage(answer: bytes) -> dict[str, Any] | None:
    """The `usage` of an answer, or of the last event of a stream that has one; None where nobody knows."""
    events = [line.removeprefix(b"data:") for line in answer.splitlines() if line.startswith(b"data:")]
    for text in (answer, *reversed(events)):
        try:
            usage = json.loads(text)["usage"]
        except (ValueError, LookupError, TypeError):
            continue
        if isinstance(usage, dict):
            return usage
    return None


def _ask_model(options: argparse.Namespace, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json"}
    if "MODEL_API_KEY" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['MODEL_API_KEY']}"
    request = urllib.request.Request(options.endpoint, body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=options.timeout) as answer:  # noqa: S310
        return bytes(answer.read())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main())
