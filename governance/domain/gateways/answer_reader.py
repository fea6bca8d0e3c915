"""Reads the usage in a model's answer as it arrives: JSON, an event stream, or AWS's binary event stream.

The memory is bounded, because events are dropped after they are read. The usage of an answer is one object of its
provider, which `domain/pricing/provider_usage.py` reads. If several events have usage, their values are merged, and the
last value of a field is used.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from governance.domain.gateways.aws_events import AwsEvents

EVENT_STREAM, AWS_STREAM = "text/event-stream", "application/vnd.amazon.eventstream"
LONGEST_EVENT = 4 * 1024 * 1024
"""The most bytes of one event or of a JSON answer, if a reader gets no other bound. A longer one is skipped."""
OPENINGS = frozenset({"message_start", "ping", "response.created", "response.in_progress", "response.queued"})
"""The types of events that come before any output."""


class Answer(NamedTuple):
    """The result of an answer. `usage` is its provider's object. It is None if the answer has no final usage.

    `has_output` says whether the answer has anything besides an error and the events before the output.
    """

    usage: Mapping[str, Any] | None
    has_output: bool
    is_error: bool


class Pieces(Protocol):
    """Splits the bytes of an answer into its JSON events."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the events that these bytes complete."""

    def end(self) -> Iterator[Any]:
        """Yield the events that the end of the answer completes."""


class AnswerReader:
    """Collects the usage and the errors in the events of an answer.

    `media_type` is its Content-Type, or '' if unknown.
    """

    def __init__(self, media_type: str, longest: int = LONGEST_EVENT) -> None:
        self._media_type = media_type.partition(";")[0].strip().lower()
        self._longest = longest
        self._pieces: Pieces | None = None
        self._head: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._has_output = self._is_error = False

    def feed(self, data: bytes) -> None:
        """Read more bytes."""
        if data:
            self._pieces = self._pieces or self._made(data)
            self._note_all(self._pieces.feed(data))

    def end(self) -> Answer:
        """Return the result of the whole answer."""
        if self._pieces is not None:
            self._note_all(self._pieces.end())
        usage = {**self._head, **self._usage} if self._usage else None
        return Answer(usage, self._has_output, self._is_error)

    def _made(self, first: bytes) -> Pieces:
        if self._media_type == AWS_STREAM:
            return AwsEvents(self._longest)
        is_stream = first.lstrip()[:1] not in (b"{", b"[") if not self._media_type else self._media_type == EVENT_STREAM
        return ServerEvents(self._longest) if is_stream else WholeJson(self._longest)

    def _note_all(self, events: Iterator[Any]) -> None:
        for event in events:
            for each in event if isinstance(event, list) else [event]:
                if isinstance(each, Mapping):
                    self._note(each)

    def _note(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        inner = _of(event, "message") or _of(event, "response") or _of(event, "delta")
        if event.get("error") or kind == "error" or inner.get("error"):
            self._is_error = True
            return
        self._has_output = self._has_output or kind not in OPENINGS
        found = _usage(event) or _usage(inner)
        if found:
            (self._head if kind in OPENINGS else self._usage).update(found)


def _usage(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage in an event, with the names of one of the known shapes. It is empty if the event has none."""
    metrics = _of(event, "amazon-bedrock-invocationMetrics")
    if metrics:
        return {"inputTokens": metrics.get("inputTokenCount"), "outputTokens": metrics.get("outputTokenCount")}
    found = _of(event, "usage") or _of(event, "usageMetadata") or _of(_of(event, "metadata"), "usage")
    found = found or (_of(event, "meta") if "billed_units" in _of(event, "meta") else {})
    return {name: value for name, value in found.items() if value is not None}


def _of(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, Mapping) else {}


def parsed(text: bytes) -> Any:
    """Return the JSON of an event, or None if it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class WholeJson:
    """An answer that is one JSON value. A value longer than the bound is dropped."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Any]:
        """Keep the bytes. Nothing is complete before the end."""
        self._size += len(data)
        if self._size <= self._longest:
            self._parts.append(data)
        else:
            self._parts.clear()
        return iter(())

    def end(self) -> Iterator[Any]:
        """Yield the value, if it is JSON."""
        if self._parts:
            yield parsed(b"".join(self._parts))


class ServerEvents:
    """Server-sent events: the JSON of each `data` field. A line that is longer than the bound is skipped."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._line = b""
        self._skips = False
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the events that these bytes complete."""
        text = self._line + data
        held = b"\r" if text.endswith(b"\r") else b""  # the line feed of this carriage return may be in the next bytes
        text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        for line in lines:
            if self._skips:
                self._skips = False
            else:
                yield from self._take(line)
        self._skips = self._skips or len(rest) > self._longest
        self._line = held if self._skips else rest + held

    def end(self) -> Iterator[Any]:
        """Yield the last event. A stream that breaks off may lack the blank line after it."""
        line = self._line.removesuffix(b"\r")
        if line and not self._skips:
            yield from self._take(line)
        yield from self._take(b"")

    def _take(self, line: bytes) -> Iterator[Any]:
        """Add a line to the event. A blank line ends the event."""
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif not line and self._data:
            event, self._data = b"\n".join(self._data), []
            yield parsed(event)
