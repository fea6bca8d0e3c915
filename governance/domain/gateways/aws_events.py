"""AWS's binary event stream (`application/vnd.amazon.eventstream`), which Bedrock's streams have.

A message has its length and the length of its headers (4 bytes each, big endian), a checksum of both, the headers, the
payload, and a checksum. The payload is JSON. In InvokeModelWithResponseStream it has the model's own event as base64 in
`bytes`. Checksums are not compared, because the message only decides about the amounts that the upstream reports.
"""

import binascii
import json
from collections.abc import Iterator
from typing import Any

PRELUDE, CHECKSUM = 12, 4


class AwsEvents:
    """Splits an AWS event stream into the JSON of its messages. A message longer than the bound ends the stream."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""
        self._is_broken = False

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the payloads of the messages that these bytes complete."""
        self._rest = b"" if self._is_broken else self._rest + data
        while len(self._rest) >= PRELUDE and not self._is_broken:
            total, headers = (int.from_bytes(self._rest[at : at + 4], "big") for at in (0, 4))
            if not PRELUDE + headers + CHECKSUM <= total <= self._longest:
                self._is_broken = True
                return
            if len(self._rest) < total:
                return
            payload = self._rest[PRELUDE + headers : total - CHECKSUM]
            self._rest = self._rest[total:]
            yield _event(payload)

    def end(self) -> Iterator[Any]:
        """Yield nothing, because an incomplete message has no payload."""
        return iter(())


def _event(payload: bytes) -> Any:
    """Return the JSON of a payload, or of the model's event inside it. Return None if it is no JSON."""
    try:
        found = json.loads(payload)
        inner = found.get("bytes") if isinstance(found, dict) else None
        return json.loads(binascii.a2b_base64(inner)) if isinstance(inner, str) else found
    except (ValueError, RecursionError):
        return None
