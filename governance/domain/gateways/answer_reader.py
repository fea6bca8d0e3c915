"""Reads the usage in a model's answer while the answer arrives.

An answer is JSON, a stream of server-sent events, or AWS's binary event stream. Each event is dropped after it was
read, so the memory that the reader uses is bounded. Each provider reports the usage in one object of the answer, and
`domain/pricing/provider_usage.py` reads this object. If several events contain usage, their fields are merged. If a
field occurs several times, its last value is used.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from governance.domain.gateways.aws_events import AwsEvents
from governance.domain.gateways.charged import NoUsage
from governance.domain.gateways.text_events import ServerEvents, WholeJson

AWS_STREAM = "application/vnd.amazon.eventstream"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_EVENT = 4 * 1024 * 1024
"""The largest number of bytes that an event or a JSON answer may have, if a reader gets no other bound.

A longer event or answer is skipped.
"""
OPENINGS = frozenset({"message_start", "ping", "response.created", "response.in_progress", "response.queued"})
"""The types of events that arrive before any output."""
METRICS = {
    "inputTokens": "inputTokenCount",
    "outputTokens": "outputTokenCount",
    "cacheReadInputTokens": "cacheReadInputTokenCount",
    "cacheWriteInputTokens": "cacheWriteInputTokenCount",
}


class Answer(NamedTuple):
    """The result of reading an answer.

    `usage` is the object in which the provider reports usage. If the answer contains no usage, `usage` is None, and
    `no_usage` is the reason. `has_output` says whether the answer contains output: anything besides errors and the
    events that arrive before the output.
    """

    usage: Mapping[str, Any] | None
    has_output: bool
    is_error: bool
    no_usage: NoUsage | None = None


class Pieces(Protocol):
    """Splits the bytes of an answer into JSON events."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the events that are complete with these bytes."""

    def end(self) -> Iterator[Any]:
        """Yield the events that are complete at the end of the answer."""

    def no_usage(self) -> NoUsage:
        """Return why the answer has no usage.

        This method is called after `end`, and only if no event contained usage.
        """


class AnswerReader:
    """Collects the usage and the errors from the events of an answer.

    `media_type` is the answer's Content-Type. A proxy may have changed or removed this header. So the header only helps
    to recognise AWS's binary stream. Otherwise the first bytes show the format of the answer.
    """

    def __init__(self, media_type: str, longest: int = LONGEST_EVENT) -> None:
        self._is_aws = media_type.partition(";")[0].strip().lower() == AWS_STREAM
        self._longest = longest
        self._start = b""
        self._pieces: Pieces | None = None
        self._head: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._has_output = self._is_error = False
        self._fault: NoUsage | None = None

    def note_fault(self, fault: NoUsage) -> None:
        """Store the reason why not all bytes of the answer could be decompressed."""
        self._fault = fault

    def feed(self, data: bytes) -> None:
        """Read more bytes."""
        if self._pieces is None:
            data = self._start = (self._start + data).lstrip()
            if BYTE_ORDER_MARK.startswith(data):  # these bytes do not show the format yet
                return
            data = data.removeprefix(BYTE_ORDER_MARK)
            self._pieces, self._start = self._made(data), b""
        self._note_all(self._pieces.feed(data))

    def end(self) -> Answer:
        """Return the result for the whole answer."""
        if self._pieces is not None:
            self._note_all(self._pieces.end())
        usage = {**self._head, **self._usage} if self._usage else self._metrics
        if usage:
            return Answer(usage, self._has_output, self._is_error)
        found = NoUsage.NO_BODY if self._pieces is None else self._pieces.no_usage()
        return Answer(None, self._has_output, self._is_error, self._fault or found)

    def _made(self, first: bytes) -> Pieces:
        if self._is_aws or first.startswith(b"\0"):
            return AwsEvents(self._longest)
        return WholeJson(self._longest) if first.startswith((b"{", b"[")) else ServerEvents(self._longest)

    def _note_all(self, events: Iterator[Any]) -> None:
        for event in events:
            for each in event if isinstance(event, list) else [event]:
                if isinstance(each, Mapping):
                    self._note(each)

    def _note(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        is_opening = isinstance(kind, str) and kind in OPENINGS
        inner = _of(event, "message") or _of(event, "response") or _of(event, "delta")
        is_error = bool(event.get("error") or kind == "error" or inner.get("error"))
        self._is_error = self._is_error or is_error
        self._has_output = self._has_output or not (is_opening or is_error)
        (self._head if is_opening else self._usage).update(_usage(event) or _usage(inner))
        self._metrics.update(_metrics(event))


def _usage(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage that an event contains, with the provider's names for its fields.

    The result is empty if the event contains no usage.
    """
    found = _of(event, "usage") or _of(event, "usageMetadata") or _of(_of(event, "metadata"), "usage")
    found = found or (_of(event, "meta") if "billed_units" in _of(event, "meta") else {})
    return {name: value for name, value in found.items() if value is not None}


def _metrics(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the token counts that Bedrock adds to a model's stream, with the names of Bedrock's Converse API.

    These counts are used only if the model itself reports no usage, because the model's own report contains more.
    """
    found = _of(event, "amazon-bedrock-invocationMetrics")
    return {name: found[own] for name, own in METRICS.items() if found.get(own) is not None}


def _of(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, Mapping) else {}
