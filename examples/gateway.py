#!/usr/bin/env python3
"""Call models within their limits: a module to copy into your own gateway, with the standard library alone.

    export GOVERNANCE_KEY=gov-…            # an API key with the scope `meter`
    python examples/gateway.py --virtual-key sk-gov-… https://api.openai.com/v1/chat/completions < request.json

- `Limits.forward` sends a request to a model and passes its answer on chunk by chunk. The limits service reads the
  model and the amounts from the request, and the usage from the answer. The caller needs a virtual key, unless the
  service allows calls without one (GOVERNANCE_GATEWAY_ANONYMOUS=allow).
- `Limits.call` and `Limits.acall` are for your own client of a model: they hold amounts while a block runs.

What happens if something goes wrong:

- A limit has no room: `Denied`, with the rules and, if waiting helps, how long. The model is not called.
- The service refuses the request itself (a wrong key or URL, an unknown virtual key): `Refused`.
- The service does not answer within the deadline, or with a 5xx: `LimitsUnavailable`, or with `fail_open` the call
  passes unmetered. After three failures, only one call a second waits for it.
- The model fails: its status and its answer reach the caller, and the hold is released.
- The model's answer breaks off, or tells no usage: the call is settled as it was held, since the provider may bill it.
- The settle does not get through: the hold expires and is charged at its estimate.
"""

import argparse
import asyncio
import http.client
import json
import logging
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from decimal import Decimal
from threading import Lock
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

logger = logging.getLogger("gateway")

TRIES, FAILURES, PAUSE = 3, 3, 1.0
"""The tries of a request; the failures after which callers stop to wait, and then the seconds between two that wait."""
PIECE, LONGEST_COPY, ENDS = 64 * 1024, 4 * 1024 * 1024, 128 * 1024
"""The most bytes of a chunk; of the copy of an answer; and of each end of an event stream that is longer."""
NO_ANSWER = (OSError, http.client.HTTPException)
"""What urllib raises if the other side cannot be reached, is too slow, or breaks off."""
SENT_AND_UNKNOWN = (TimeoutError, ConnectionError, http.client.HTTPException, json.JSONDecodeError)
"""Errors of a model after the request was sent: the provider may bill it. (urllib wraps the earlier ones.)"""


class Refused(Exception):
    """The limits service refuses the request. The sentence says what to do."""


class Denied(Refused):
    """A limit has no room. `retry_after` is in seconds, None if waiting does not help."""

    def __init__(self, answer: dict[str, Any], retry_after: str | None) -> None:
        super().__init__(answer["error"]["message"])
        self.code = answer["error"]["code"]
        self.violations = answer["extra_fields"].get("violations", [])
        self.retry_after = None if retry_after is None else int(retry_after)


class LimitsUnavailable(Exception):
    """The limits service does not answer, and calls are refused without it."""


class Breaker:
    """Decides who waits for a service that fails: after three failures, one caller a second."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._failures, self._next = 0, 0.0

    def allows(self) -> bool:
        """Whether this caller may ask the service."""
        with self._lock:
            is_closed, now = self._failures < FAILURES, self._clock()
            if not is_closed and now < self._next:
                return False
            self._next = now + PAUSE
            return True

    def note(self, *, is_good: bool) -> None:
        """Count the outcome of a request."""
        with self._lock:
            self._failures = 0 if is_good else self._failures + 1


class Call:
    """A call under way. If nothing is said of it, it settles as it was held."""

    def __init__(self, reservation_id: str | None) -> None:
        self.reservation_id = reservation_id
        self.act, self.amounts = "settle", dict[str, Any]()

    def used(
        self, *, usage: dict[str, Any] | None = None, tokens: int | None = None, cost: Decimal | None = None
    ) -> None:
        """Say what was used: the `usage` object of the model's answer as it came, or numbers of your own."""
        self.amounts = {"usage": usage, "tokens": tokens, "cost": cost}

    def used_nothing(self) -> None:
        """Say that nothing was used."""
        self.act, self.amounts = "release", {}


class Limits:
    """The limits service, as a gateway sees it. `deadline` is the seconds of a request to it, over all tries."""

    def __init__(
        self, url: str, key: str, *, deadline: float = 2.0, fail_open: bool = False, breaker: Breaker | None = None
    ) -> None:
        self.url, self.key, self.deadline, self.fail_open = url.rstrip("/"), key, deadline, fail_open
        self._breaker = breaker or Breaker()

    @contextmanager
    def call(self, model: str, **asked: Any) -> Iterator[Call]:
        """Hold `asked` (provider, virtual_key, user_id, input_tokens, output_tokens, …) while the block runs.

        Raises Denied, Refused, LimitsUnavailable.
        """
        call = self._begin({"model": model, **asked})
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

    @asynccontextmanager
    async def acall(self, model: str, **asked: Any) -> AsyncIterator[Call]:
        """Do the same as `call` in asyncio. A thread waits for the limits service."""
        manager = self.call(model, **asked)
        call = await asyncio.to_thread(manager.__enter__)
        try:
            yield call
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(manager.__exit__, type(error), error, error.__traceback__))
            raise
        await asyncio.to_thread(manager.__exit__, None, None, None)

    def forward(
        self, endpoint: str, body: bytes, headers: Mapping[str, str], *, timeout: float = 600, **who: str | None
    ) -> tuple[int, Mapping[str, str], Iterator[bytes]]:
        """Send a request to a model. Return the status, the headers and the chunks of its answer, as they come.

        `headers` are those for the model. `who` may have virtual_key, provider and user. Read or close all chunks.
        Raises Denied, Refused, LimitsUnavailable, and OSError if the model cannot be reached.
        """
        reservation_id = self._authorize(endpoint, body, who)
        request = urllib.request.Request(endpoint, body, dict(headers))  # noqa: S310
        try:
            answer = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310
        except urllib.error.HTTPError as error:
            answer = error
        except NO_ANSWER as error:
            is_unknown = isinstance(error, SENT_AND_UNKNOWN)
            self._settled(reservation_id, {} if is_unknown else {"X-Upstream-Status": "502"}, b"")
            raise
        return answer.status, answer.headers, self._chunks(reservation_id, answer)

    def _chunks(self, reservation_id: str | None, answer: Any) -> Iterator[bytes]:
        """Yield the chunks of an answer, and settle by a copy of them at the end, also of one that breaks off."""
        copy, told = b"", {"X-Upstream-Status": str(answer.status)}
        told |= {name: answer.headers[name] for name in ("Content-Type", "Content-Encoding") if answer.headers[name]}
        try:
            with closing(answer):
                while chunk := answer.read1(PIECE):
                    copy += chunk
                    if len(copy) > LONGEST_COPY:  # a stream tells its usage in its first or its last events
                        copy = copy[:ENDS] + b"\n\n" + copy[-ENDS:].partition(b"\n\n")[2]
                    yield chunk
        finally:
            self._settled(reservation_id, told, copy)

    def _authorize(self, endpoint: str, body: bytes, who: Mapping[str, str | None]) -> str | None:
        sent = {"X-Governance-Key": self.key, "X-Forwarded-Uri": urlsplit(endpoint).path}
        names = {"virtual_key": "X-Bf-Vk", "provider": "X-Governance-Provider", "user": "X-Governance-User"}
        sent |= {names[name]: value for name, value in who.items() if value}
        answer = self._asked("/gateway/authorize?detail=full&trust=uri,provider,user", body, sent, tries=1)
        return None if answer is None else answer[0].get("X-Reservation-Id")

    def _settled(self, reservation_id: str | None, told: Mapping[str, str], copy: bytes) -> None:
        if reservation_id is not None:
            sent = {"X-Governance-Key": self.key, "X-Reservation-Id": reservation_id, **told}
            self._told("/gateway/settled", copy, sent)

    def _begin(self, ask: dict[str, Any]) -> Call:
        sent = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": uuid.uuid4().hex}
        answer = self._asked("/api/governance/reservations", _json(ask), sent)
        return Call(None if answer is None else str(answer[1]["reservation"]["id"]))

    def _end(self, call: Call) -> None:
        if call.reservation_id is None:
            return
        sent = {"Authorization": f"Bearer {self.key}"}
        path = f"/api/governance/reservations/{call.reservation_id}/{call.act}"
        if not self._told(path, _json(call.amounts), sent) and call.amounts.get("usage"):
            self._told(path, b"{}", sent)  # a usage that cannot be read is settled as it was held

    def _asked(self, path: str, body: bytes, sent: Mapping[str, str], tries: int = TRIES) -> tuple[Any, Any] | None:
        """Return the answer to a question before a call; None if the call may pass unmetered."""
        try:
            if not self._breaker.allows():
                raise TimeoutError("it has failed three times, and is asked once a second")
            return self._post(path, body, sent, tries)
        except NO_ANSWER as error:
            if not self.fail_open:
                raise LimitsUnavailable(f"Refused: the limits service does not answer ({error}).") from error
            logger.warning("UNMETERED: the limits service does not answer (%s)", error)
            return None

    def _told(self, path: str, body: bytes, sent: Mapping[str, str]) -> bool:
        """Tell how a call ended; whether that got through. If not, its hold expires."""
        try:
            self._post(path, body, sent, TRIES)
        except (Refused, *NO_ANSWER) as error:
            logger.warning("not told how the call ended: %s", error)
            return False
        return True

    def _post(self, path: str, body: bytes, sent: Mapping[str, str], tries: int) -> tuple[Any, Any]:
        """Post, and try again before the deadline. A repeat is safe: it gives the first answer."""
        until, headers = monotonic() + self.deadline, {"Content-Type": "application/json", **sent}
        request = urllib.request.Request(self.url + path, body, headers)  # noqa: S310
        for left in reversed(range(tries)):
            try:
                with urllib.request.urlopen(request, timeout=max(0.001, until - monotonic())) as answer:  # noqa: S310
                    found = answer.headers, json.loads(answer.read() or b"{}")
            except (urllib.error.HTTPError, *NO_ANSWER) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:  # noqa: PLR2004
                    self._breaker.note(is_good=True)
                    raise _refusal(error) from error
                if not left or monotonic() >= until:
                    self._breaker.note(is_good=False)
                    raise
            except ValueError as error:
                raise Refused(f"Set the URL of the limits service: {self.url} does not answer as one.") from error
            else:
                self._breaker.note(is_good=True)
                return found
        raise AssertionError("unreachable")


def _refusal(error: urllib.error.HTTPError) -> Refused:
    """Return what the limits service says in a 4xx. If it is a page of something else, the URL is wrong."""
    try:
        answer = json.load(error)
        if answer["extra_fields"].get("decision") == "deny" and "violations" in answer["extra_fields"]:
            return Denied(answer, error.headers.get("Retry-After"))
        return Refused(answer["error"]["message"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return Refused(f"Set the URL of the limits service: {error.url} answers {error.code} {error.reason}.")


def _json(body: dict[str, Any]) -> bytes:
    """Return JSON in which money stays exact: a Decimal becomes a number with its own digits, never a float."""
    parts = (
        f"{json.dumps(name)}: {value:f}" if isinstance(value, Decimal) else f"{json.dumps(name)}: {json.dumps(value)}"
        for name, value in body.items()
    )
    return ("{" + ", ".join(parts) + "}").encode()


def main() -> int:
    """Send the request on standard input to a model within its limits, and print the answer as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("endpoint", help="the model endpoint, such as https://api.openai.com/v1/chat/completions")
    parser.add_argument("--provider", help="the provider, as the limits name it; else that of the endpoint's form")
    parser.add_argument("--virtual-key", help="the virtual key that pays, by its value")
    parser.add_argument("--user", help="the user that pays")
    parser.add_argument("--timeout", type=float, default=120, help="seconds that the model may be silent")
    parser.add_argument("--fail-open", action="store_true", help="without the limits service: call anyway, unmetered")
    options = parser.parse_args()
    key, url = os.environ.get("GOVERNANCE_KEY", "").strip(), os.environ.get("GOVERNANCE_URL", "http://127.0.0.1:8080")
    headers = {"Content-Type": "application/json"}
    if "MODEL_API_KEY" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['MODEL_API_KEY']}"
    who = {"virtual_key": options.virtual_key, "provider": options.provider, "user": options.user}
    if not key:
        parser.exit(1, "Set GOVERNANCE_KEY to an API key with the scope meter.\n")
    try:
        limits = Limits(url, key, fail_open=options.fail_open)
        body = sys.stdin.buffer.read()
        status, _, chunks = limits.forward(options.endpoint, body, headers, timeout=options.timeout, **who)
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
    except (Refused, LimitsUnavailable, ValueError, *NO_ANSWER) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if status >= 400:  # noqa: PLR2004
        sys.stderr.write(f"the model answered {status}\n")
    return int(status >= 400)  # noqa: PLR2004


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main())
