#!/usr/bin/env python3
"""Call any OpenAI-compatible model endpoint within its limits: reserve → call → settle, or release where it failed.

Usable as it is, with the standard library alone:

    export GOVERNANCE_KEY=gov-…            # an API key with the scope `meter`
    python examples/gateway.py --provider openai --input-price 2.50 --output-price 10 \
        https://api.openai.com/v1/chat/completions < request.json

or as a module of your own gateway: `with Limits(url, key).call("gpt-4o", tokens=…, cost=…) as call: …`.

What happens when things go wrong is stated, not left to chance:

- No room: `Denied`, with every rule that had none and, where waiting helps, how long.
- The limits service does not answer in time: `fail_open=False` (the default) refuses the call, since an unmetered call
  is money; `fail_open=True` lets it pass unmetered and says so in the log.
- The model refuses or cannot be reached: the hold is released. It was sent and nobody knows (a timeout, a lost
  connection): the hold is
  settled as it stands, since the provider may bill it.
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

MILLION = 1_000_000
BYTES_PER_TOKEN = 3
TRIES = 3
SENT_AND_UNKNOWN = (TimeoutError, ConnectionError, http.client.HTTPException)
"""What a model's answer can end in after the request was sent: the provider may bill it. (urllib wraps the rest.)"""


class Denied(Exception):
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

    def used(self, *, tokens: int | None = None, cost: Decimal | None = None) -> None:
        """Say what was used."""
        self.amounts = {"tokens": tokens, "cost": cost}

    def used_nothing(self) -> None:
        """Say that nothing was used."""
        self.act, self.amounts = "release", {}


class Limits:
    """The limits service, as a gateway sees it. `timeout` is seconds for each request to it."""

    def __init__(self, url: str, key: str, *, timeout: float = 2.0, fail_open: bool = False) -> None:
        self.url, self.key, self.timeout, self.fail_open = url.rstrip("/"), key, timeout, fail_open

    @contextmanager
    def call(self, model: str, **asked: Any) -> Iterator[Call]:
        """Hold `asked` (provider, virtual_key, user_id, tokens, cost, ttl_seconds, …) while the block calls the model.

        Raises Denied, and LimitsUnavailable where calls are refused without the service.
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
        except OSError as error:
            if not self.fail_open:
                raise LimitsUnavailable(f"Refused: the limits service does not answer ({error}).") from error
            logger.warning("UNMETERED: the limits service does not answer (%s)", error)
            return None
        return str(answer["reservation"]["id"])

    def _end(self, call: Call) -> None:
        if call.reservation_id is None:
            return
        try:
            self._post(f"reservations/{call.reservation_id}/{call.act}", call.amounts, {})
        except OSError as error:
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
                if error.code in (402, 403, 429):
                    raise Denied(json.load(error), error.headers.get("Retry-After")) from error
                if error.code < 500 or not left:  # noqa: PLR2004
                    raise
            except OSError:
                if not left:
                    raise
        raise AssertionError("unreachable")


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
    parser.add_argument("--virtual-key", help="the virtual key that pays")
    parser.add_argument("--user", help="the user that pays")
    parser.add_argument("--input-price", type=Decimal, default=Decimal(0), help="dollars for a million tokens in")
    parser.add_argument("--output-price", type=Decimal, default=Decimal(0), help="dollars for a million tokens out")
    parser.add_argument("--output-ceiling", type=int, default=4096, help="tokens out, where the request sets no bound")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for the model's answer")
    parser.add_argument("--fail-open", action="store_true", help="without the limits service: call anyway, unmetered")
    options = parser.parse_args()
    limits = Limits(
        os.environ.get("GOVERNANCE_URL", "http://127.0.0.1:8080"),
        os.environ["GOVERNANCE_KEY"],
        fail_open=options.fail_open,
    )
    body = sys.stdin.buffer.read()
    try:
        sys.stdout.write(json.dumps(_within(limits, options, body), indent=2) + "\n")
    except (Denied, LimitsUnavailable, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _within(limits: Limits, options: argparse.Namespace, body: bytes) -> dict[str, Any]:
    request = json.loads(body)
    tokens_in, tokens_out = estimate(body, request, options.output_ceiling)
    asked = {
        "provider": options.provider,
        "virtual_key": options.virtual_key,
        "user_id": options.user,
        "tokens": tokens_in + tokens_out,
        "cost": _cost(options, tokens_in, tokens_out),
        "ttl_seconds": int(options.timeout) + 60,
    }
    with limits.call(request["model"], **asked) as call:
        answer = _ask_model(options, body)
        usage = answer.get("usage")
        if usage:
            cost = _cost(options, usage["prompt_tokens"], usage["completion_tokens"])
            call.used(tokens=usage["total_tokens"], cost=cost)
    return answer


def _cost(options: argparse.Namespace, tokens_in: int, tokens_out: int) -> Decimal:
    return Decimal(options.input_price * tokens_in + options.output_price * tokens_out) / MILLION


def _ask_model(options: argparse.Namespace, body: bytes) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if "MODEL_API_KEY" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['MODEL_API_KEY']}"
    request = urllib.request.Request(options.endpoint, body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=options.timeout) as answer:  # noqa: S310
        return dict(json.load(answer))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main())
