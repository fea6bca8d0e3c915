"""Splits an answer that is text into events: server-sent events, or one JSON value."""

import json
from collections.abc import Iterator
from typing import Any

from governance.domain.gateways.charged import NoUsage

DATA = b"data:"
TELLING = (b"usage", b"error", b"invocationMetrics", b"billed_units", b'"ping"', b"response.")
"""An event that contains one of these texts must be parsed. Any other event only shows that the answer has output."""
DONE = b"[DONE]"
"""The last event of OpenAI's streams."""
OUTPUT: dict[str, Any] = {}
"""The result for an event that only shows that the answer has output."""


def read_if_telling(event: bytes) -> Any:
    """Parse the JSON of an event.

    To save time, an object that only shows that the answer has output is not parsed, and `OUTPUT` is returned. Most
    events of a stream are such objects.
    """
    is_plain = event.lstrip().startswith(b"{") and not any(word in event for word in TELLING)
    return OUTPUT if is_plain else parsed(event)


def parsed(text: bytes | bytearray) -> Any:
    """Parse the JSON of an event. Return None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class WholeJson:
    """Reads an answer that is one JSON value. A value of more than `longest` bytes is dropped."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._text = bytearray()
        self._is_dropped = False

    def feed(self, data: bytes) -> Iterator[Any]:
        """Store the bytes. No event is complete before the end."""
        self._is_dropped = self._is_dropped or len(self._text) + len(data) > self._longest
        if self._is_dropped:
            self._text.clear()
        else:
            self._text += data
        return iter(())

    def end(self) -> Iterator[Any]:
        """Yield the value if it is JSON."""
        if self._text:
            yield parsed(self._text)

    def no_usage(self) -> NoUsage:
        """Return why the answer has no usage."""
        if self._is_dropped:
            return NoUsage.TOO_LARGE
        if parsed(self._text) is not None:
            return NoUsage.NOT_TOLD
        return NoUsage.UNKNOWN_FORM if self._text.rstrip().endswith((b"}", b"]")) else NoUsage.CUT_OFF


class ServerEvents:
    """Reads the JSON in the `data` lines of server-sent events. An event of more than `longest` bytes is dropped."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._line = bytearray()
        self._data = bytearray()
        self._is_dropped = self._follows_return = False
        self._has_events = self._has_lost_one = self._is_done = False

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the events that are complete with these bytes."""
        text = data.removeprefix(b"\n") if self._follows_return else data
        self._follows_return = data.endswith(b"\r")
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *ends, rest = text.split(b"\n")
        for end in ends:
            self._add(end)
            event = self._end_line()
            if event:
                yield read_if_telling(event)
        self._add(rest)

    def end(self) -> Iterator[Any]:
        """Yield the last event. If a stream breaks off, the blank line after its last event may be missing."""
        self._end_line()
        event = self._end_line()
        if event:
            yield read_if_telling(event)

    def no_usage(self) -> NoUsage:
        """Return why the answer has no usage."""
        if self._has_lost_one:
            return NoUsage.TOO_LARGE
        if self._is_done:
            return NoUsage.NOT_TOLD
        return NoUsage.CUT_OFF if self._has_events else NoUsage.UNKNOWN_FORM

    def _add(self, part: bytes) -> None:
        """Add a part of a line, unless its event becomes too long."""
        if len(self._line) + len(self._data) + len(part) > self._longest:
            self._is_dropped = self._has_lost_one = True
        if self._is_dropped:
            self._data.clear()
        self._line += part[:1] if self._is_dropped else part  # one byte shows that the line is not blank
        if self._is_dropped:
            del self._line[1:]

    def _end_line(self) -> bytes:
        """Add the current line to the event.

        If the line is blank, the event is complete, and its data is returned. Otherwise empty bytes are returned.
        """
        if self._line:
            if self._line.startswith(DATA):
                self._data += b"\n" + self._line[len(DATA) :]
            self._line.clear()
            return b""
        event = b"" if self._is_dropped else bytes(self._data)
        self._has_events = self._has_events or bool(event)
        self._is_done = self._is_done or event.strip() == DONE
        self._data.clear()
        self._is_dropped = False
        return event
