"""Finds the end of an HTTP/1 message in the bytes of a connection. Only gunicorn's parser interprets the message."""

import re
from enum import Enum

from governance.web.http.flask_app import MAX_BODY

Bytes = bytes | bytearray

MAX_HEAD = 64 * 1024
"""The largest number of bytes in a head. gunicorn's own maximums would allow 800 KiB: a line of 4,094 bytes, and 100
fields of 8,190 bytes.
"""
MAX_LINE = 8190
"""The largest number of bytes in the line before a chunk, and in all trailers together."""
MAX_MESSAGE = MAX_HEAD + 2 * MAX_BODY
"""The largest number of received bytes of head and body, including the lines between chunks."""

FIELDS = re.compile(rb"\r\n(content-length|transfer-encoding|expect):[ \t]*([^\r\n]*)", re.IGNORECASE)
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;|$)")


class MessageProgress(Enum):
    """How much of a message has been received."""

    HEAD = "its head is not complete"
    BODY = "its head is complete, its body is not"
    WHOLE = "all of it is here"
    LARGE = "its head is complete, its body is more than the loop keeps"
    REFUSED = "more bytes cannot make it a good one"


class Framing:
    """Finds the end of one message.

    Whenever more bytes of the message are received, `look` is called with all bytes so far.
    """

    __slots__ = ("_chunk", "_decoded", "_head", "_seen", "end", "expects_continue", "is_chunked", "progress")

    def __init__(self) -> None:
        self.progress = MessageProgress.HEAD
        self.end = 0
        """The index of the message's end. It is set when the message is complete."""
        self.expects_continue = self.is_chunked = False
        self._head = self._seen = self._chunk = self._decoded = 0

    def look(self, data: Bytes) -> MessageProgress:
        """Return the progress of the message, given all bytes received so far."""
        if self.progress is MessageProgress.HEAD:
            self.progress = self._look_for_head(data)
        if self.progress is MessageProgress.BODY:
            self.progress = self._look_for_body(data)
        return self.progress

    def _look_for_head(self, data: Bytes) -> MessageProgress:
        end = data.find(b"\r\n\r\n", max(0, self._seen - 3))
        if end < 0:
            seen, self._seen = self._seen, len(data)
            refused = len(data) > MAX_HEAD or _has_bare_line_feed(data, seen)
            return MessageProgress.REFUSED if refused else MessageProgress.HEAD
        self._head = self.end = end + 4
        fields = FIELDS.findall(data, 0, self._head)
        return self._framed(data, fields) if fields else MessageProgress.WHOLE

    def _framed(self, data: Bytes, fields: list[tuple[bytes, bytes]]) -> MessageProgress:
        """Find out from the head's fields how the body ends, and return BODY or LARGE.

        Return REFUSED if the fields are repeated, contradictory or of an unknown form.
        """
        values = {name.lower(): value.strip(b" \t").lower() for name, value in fields}
        if len(values) < len(fields):
            return MessageProgress.REFUSED
        expected = values.pop(b"expect", b"100-continue")
        self.expects_continue = b" HTTP/1.1\r\n" in data[: self._head] and len(values) < len(fields)
        match values:
            case _ if expected != b"100-continue":
                return MessageProgress.REFUSED
            case {b"transfer-encoding": b"chunked"} if len(values) == 1:
                self._chunk, self.is_chunked = self._head, True
            case {b"content-length": length} if len(values) == 1 and length.isdigit() and len(length) < 12:  # noqa: PLR2004
                self.end += int(length)
            case _ if values:
                return MessageProgress.REFUSED
        return MessageProgress.LARGE if self.end - self._head > MAX_BODY else MessageProgress.BODY

    def _look_for_body(self, data: Bytes) -> MessageProgress:
        if len(data) > MAX_MESSAGE:
            return MessageProgress.REFUSED
        if self.is_chunked:
            return self._look_for_last_chunk(data)
        return MessageProgress.WHOLE if len(data) >= self.end else MessageProgress.BODY

    def _look_for_last_chunk(self, data: Bytes) -> MessageProgress:
        while (line := data.find(b"\r\n", self._chunk)) >= 0:
            size = CHUNK_SIZE.match(data, self._chunk, line)
            if size is None:
                return MessageProgress.REFUSED
            length, begin = int(size[1], 16), line + 2
            if length == 0:
                return self._look_for_trailers(data, line)
            if self._decoded + min(length, len(data) - begin) > MAX_BODY:
                return MessageProgress.REFUSED
            end = begin + length + 2
            if len(data) < end:
                return MessageProgress.BODY
            if data[end - 2 : end] != b"\r\n":
                return MessageProgress.REFUSED
            self._chunk, self._decoded = end, self._decoded + length
        return MessageProgress.REFUSED if len(data) - self._chunk > MAX_LINE else MessageProgress.BODY

    def _look_for_trailers(self, data: Bytes, line: int) -> MessageProgress:
        end = data.find(b"\r\n\r\n", line)
        if end < 0:
            return MessageProgress.REFUSED if len(data) - line > MAX_LINE else MessageProgress.BODY
        self.end = end + 4
        return MessageProgress.WHOLE


def _has_bare_line_feed(data: Bytes, begin: int) -> bool:
    """Return whether, from `begin` on, a line feed has no carriage return before it.

    Counting is faster than a regular expression: 0.2 ms instead of 2.2 ms for a head of 100 KB.
    """
    return data.count(b"\n", begin) != data.count(b"\r\n", max(0, begin - 1))
