#!/usr/bin/env python3
"""Call a model within its limits: reserve → call → settle, or release where it failed. Standard library only.

As a command, which passes the answer on as it comes:

    export GOVERNANCE_KEY=gov-…            # an API key with the scope `meter`
    python examples/gateway.py --provider openai https://api.openai.com/v1/chat/completions < request.json

As a module of your own gateway: `with Limits(url, key).call("gpt-4o", input_tokens=…, output_tokens=…) as call:`, or
`async with … .acall(…)`. Give `call.feed` the bytes of the answer as they come; it finds the usage in them.
docs/gateways.md says what happens when something goes wrong.
"""

import argparse
import asyncio
import http.client
import json
import logging
import math
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from decimal import Decimal
from typing import Any

logger = logging.getLogger("gateway")

API = "/api/governance"
BYTES_PER_TOKEN = 3
TRIES = 3
TRY_PAUSE = 0.05
FAILURES = 3
OPEN_SECONDS = 1.0
LONGEST = 16 * 1024 * 1024
"""The most bytes of an answer that are kept to find its usage. A longer one settles as held."""
NO_ANSWER = (OSError, http.client.HTTPException)
"""What urllib raises where the other side cannot be reached, is too slow, or breaks off."""
NOT_REACHED = (urllib.error.URLError, ConnectionRefusedError, socket.gaierror)


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
    """A call under way. Feed it the answer, or say what it used; a call that learns nothing settles as held."""

    def __init__(self, reservation_id: str | None) -> None:
        self.reservation_id, self.act = reservation_id, "settle"
        self.amounts: dict[str, Any] = {}
        self.answer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the model's answer, JSON or a stream, as they came: the usage is read from them."""
        self.act = "answer"
        self.answer += data[: LONGEST + 1 - len(self.answer)]

    def used(
        self, *, usage: dict[str, Any] | None = None, tokens: int | None = None, cost: Decimal | None = None
    ) -> None:
        """Say what was used: the `usage` object of the model's answer as it came, or numbers of your own."""
        self.act, self.amounts = "settle", {"usage": usage, "tokens": tokens, "cost": cost}

    def used_nothing(self) -> None:
        """Say that nothing was used."""
        self.act, self.amounts = "release", {}


def is_unbilled(error: BaseException | None) -> bool:
    """Whether the model answered an error, or was never reached: as urllib, httpx, openai or anthropic raise that."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if isinstance(error, NOT_REACHED) or status >= 400:  # noqa: PLR2004
            return True
        error = error.__cause__
    return False


class Circuit:
    """Opens after FAILURES failures in a row: then one request in OPEN_SECONDS tries, all others fail at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock, self._failures, self._next_try = clock, threading.Lock(), 0, 0.0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Note whether the block fails. Raises ConnectionError where the circuit is open."""
        with self._lock:
            if self._failures >= FAILURES and self._clock() < self._next_try:
                raise ConnectionError("it has just failed; it is tried again in a second")
            self._next_try = math.inf
        failed = False
        try:
            yield
        except NO_ANSWER:
            failed = True
            raise
        finally:
            with self._lock:
                self._failures = self._failures + 1 if failed else 0
                self._next_try = self._clock() + OPEN_SECONDS


class Limits:
    """The limits service, as a gateway sees it. `timeout` is seconds for an act (reserve, settle), with all its tries.

    `fail_open=True` lets calls pass unmetered, and logs that, where the service does not answer. One for all threads.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 2.0,
        fail_open: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url, self.key, self.timeout, self.fail_open = url.rstrip("/"), key, timeout, fail_open
        self._clock, self._circuit = clock, Circuit(clock)

    @contextmanager
    def call(self, model: str, **asked: Any) -> Iterator[Call]:
        """Hold `asked` (provider, virtual_key, user_id, input_tokens, output_tokens, …) while the block runs.

        Raises Denied and Refused, and LimitsUnavailable where calls are refused without the service.
        """
        call = Call(self._reserve({"model": model, **asked}))
        try:
            yield call
        except BaseException as error:
            if not call.answer and is_unbilled(error):
                call.used_nothing()
            raise
        finally:
            self._end(call)

    @asynccontextmanager
    async def acall(self, model: str, **asked: Any) -> AsyncIterator[Call]:
        """Do the same in asyncio. A thread waits for the service, so the loop goes on."""
        block = self.call(model, **asked)
        reserving = asyncio.ensure_future(asyncio.to_thread(block.__enter__))
        try:
            call = await asyncio.shield(reserving)
        except asyncio.CancelledError:
            with suppress(Refused, LimitsUnavailable):
                (await reserving).used_nothing()
                await asyncio.to_thread(block.__exit__, None, None, None)
            raise
        try:
            yield call
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(block.__exit__, type(error), error, error.__traceback__))
            raise
        await asyncio.shield(asyncio.to_thread(block.__exit__, None, None, None))

    def _reserve(self, ask: dict[str, Any]) -> str | None:
        try:
            answer = self._post(f"{API}/reservations", _json(ask), {"Idempotency-Key": uuid.uuid4().hex})
        except NO_ANSWER as error:
            if not self.fail_open:
                raise LimitsUnavailable(f"Refused: the limits service does not answer ({error}).") from error
            logger.warning("UNMETERED: the limits service does not answer (%s)", error)
            return None
        return str(answer["reservation"]["id"])

    def _end(self, call: Call) -> None:
        if call.reservation_id is None:
            return
        path = f"{API}/reservations/{call.reservation_id}"
        try:
            if call.act == "answer" and len(call.answer) <= LONGEST:
                headers = {"X-Governance-Key": self.key, "X-Reservation-Id": call.reservation_id, "Content-Type": ""}
                self._post("/gateway/settled", bytes(call.answer), headers)
                return
            try:
                self._post(f"{path}/{call.act.replace('answer', 'settle')}", _json(call.amounts), {})
            except Refused as error:
                if not call.amounts.get("usage"):
                    raise
                logger.warning("its usage could not be read, so the call is settled as it was held: %s", error)
                self._post(f"{path}/settle", b"{}", {})
        except (Refused, *NO_ANSWER) as error:
            logger.warning("not told how the call ended, so its hold will expire: %s", error)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """Post, within one deadline for all tries: every repeat gives the first answer."""
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, body, sent)  # noqa: S310
        deadline = self._clock() + self.timeout
        with self._circuit.attempt():
            for left in reversed(range(TRIES)):
                try:
                    return self._try(request, deadline - self._clock())
                except NO_ANSWER:
                    if not left or self._clock() + TRY_PAUSE >= deadline:
                        raise
                time.sleep(TRY_PAUSE)
        raise AssertionError("unreachable")

    def _try(self, request: urllib.request.Request, seconds: float) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code < 500:  # noqa: PLR2004
                raise _refusal(error) from error
            raise
        except ValueError as error:
            raise Refused(f"Set the URL of the limits service: {self.url} does not answer as one.") from error


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
    return len(body) // BYTES_PER_TOKEN + 1, int(output) * int(request.get("n") or 1)


def main() -> int:
    """Send the request on standard input to a model endpoint, within its limits; print its answer as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("endpoint", help="the model endpoint, such as https://api.openai.com/v1/chat/completions")
    parser.add_argument("--provider", help="the provider, as the limits name it")
    parser.add_argument("--virtual-key", help="the virtual key that pays, by its value")
    parser.add_argument("--user", help="the user that pays")
    parser.add_argument("--output-ceiling", type=int, default=4096, help="tokens out, where the request sets no bound")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for each wait for the model")
    parser.add_argument("--fail-open", action="store_true", help="without the limits service: call anyway, unmetered")
    options = parser.parse_args()
    try:
        _within(_limits(options), options, sys.stdin.buffer.read())
    except urllib.error.HTTPError as error:  # the model's: its body is the answer
        sys.stdout.buffer.write(error.read())
        sys.stdout.flush()
        sys.stderr.write(f"The model answers {error.code} {error.reason}.\n")
        return 1
    except (Refused, LimitsUnavailable, ValueError, *NO_ANSWER) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _limits(options: argparse.Namespace) -> Limits:
    key = os.environ.get("GOVERNANCE_KEY", "").strip()
    if not key:
        raise ValueError("Set GOVERNANCE_KEY to an API key with the scope meter.")
    return Limits(os.environ.get("GOVERNANCE_URL", "http://127.0.0.1:8080"), key, fail_open=options.fail_open)


def _within(limits: Limits, options: argparse.Namespace, body: bytes) -> None:
    try:
        request = json.loads(body)
        model = request["model"]
        tokens_in, tokens_out = estimate(body, request, options.output_ceiling)
        if request.get("stream") and "stream_options" not in request and options.endpoint.endswith("/completions"):
            body = json.dumps({**request, "stream_options": {"include_usage": True}}).encode()
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
        for piece in _ask_model(options, body):
            call.feed(piece)
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()


def _ask_model(options: argparse.Namespace, body: bytes) -> Iterator[bytes]:
    """Yield the model's answer, each piece as soon as it is here."""
    headers = {"Content-Type": "application/json"}
    if "MODEL_API_KEY" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['MODEL_API_KEY']}"
    request = urllib.request.Request(options.endpoint, body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=options.timeout) as answer:  # noqa: S310
        missing = int(answer.headers.get("Content-Length", 0))
        while piece := answer.read1():
            missing -= len(piece)
            yield piece
        if missing > 0:
            raise http.client.IncompleteRead(b"", missing)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main())
