"""Reads AWS's binary event stream (`application/vnd.amazon.eventstream`), in which AWS Bedrock streams its answers.

A message contains, in this order: its length and the length of its headers (4 bytes each, big endian), a checksum of
both, the headers, the payload, and a checksum of the message. The payload is JSON. For InvokeModelWithResponseStream
the JSON contains the model's event as base64 in `bytes`. Checksums are not verified: a damaged message can only change
the usage that is charged, and the upstream (the server of the model) can report any usage anyway.
"""

import binascii
import json
from collections.abc import Iterator
from typing import Any

from governance.domain.gateways.charged import NoUsage

PRELUDE, CHECKSUM = 12, 4
FAULTS = (b":exception-type", b":error-code")
"""The names of headers that only messages about a failure contain."""


class AwsEvents:
    """Splits an AWS event stream into the JSON of its messages.

    After a message of more than `longest` bytes, the rest of the stream is ignored.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = bytearray()
        self._is_broken = False

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the payload of each message that is complete with these bytes."""
        if self._is_broken:
            return
        self._rest += data
        begin = 0
        while end := self._end_of_message(begin):
            yield _event(bytes(self._rest[begin:end]))
            begin = end
        del self._rest[:begin]

    def end(self) -> Iterator[Any]:
        """Yield nothing, because an incomplete message has no usable payload."""
        return iter(())

    def no_usage(self) -> NoUsage:
        """Return why the answer has no usage."""
        if self._is_broken:
            return NoUsage.UNKNOWN_FORM
        return NoUsage.CUT_OFF if self._rest else NoUsage.NOT_TOLD

    def _end_of_message(self, begin: int) -> int:
        """Return the end of the message that starts at `begin`. Return 0 if the message is incomplete or invalid."""
        if len(self._rest) < begin + PRELUDE:
            return 0
        total, headers = _lengths(self._rest[begin : begin + PRELUDE])
        if not PRELUDE + headers + CHECKSUM <= total <= self._longest:
            self._is_broken = True
            self._rest.clear()
        return begin + total if len(self._rest) >= begin + total else 0


def _lengths(prelude: bytes | bytearray) -> tuple[int, int]:
    """Return the length of a message, and the length of its headers."""
    return int.from_bytes(prelude[:4], "big"), int.from_bytes(prelude[4:8], "big")


def _event(message: bytes) -> Any:
    """Parse the JSON of a message, or of the model's event inside the message. Return None if it is not JSON."""
    begin = PRELUDE + _lengths(message)[1]
    if any(name in message[PRELUDE:begin] for name in FAULTS):
        return {"type": "error"}
    try:
        found = json.loads(message[begin:-CHECKSUM])
        inner = found.get("bytes") if isinstance(found, dict) else None
        return json.loads(binascii.a2b_base64(inner)) if isinstance(inner, str) else found
    except (ValueError, RecursionError):
        return None
