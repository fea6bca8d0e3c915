"""Raw connections to a service. They send exactly the given bytes, and return exactly the bytes that come back."""

import json
import socket
from contextlib import suppress
from typing import Any, NamedTuple

from tests.process.service import DEADLINE, Service


class Reply(NamedTuple):
    """One response with all its parts."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


def request(
    method: str, path: str, *, key: str | None = None, body: bytes | None = None, fields: tuple[str, ...] = ()
) -> bytes:
    """Return a request as bytes."""
    own = [f"Authorization: Bearer {key}"] if key else []
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    lines = (f"{method} {path} HTTP/1.1", "Host: localhost", *own, *length, *fields)
    return "\r\n".join((*lines, "", "")).encode() + (body or b"")


class Peer:
    """A connection."""

    def __init__(self, service: Service, *, window: int | None = None) -> None:
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(("127.0.0.1", service.port))
        self.stream = self.socket.makefile("rb")

    def send(self, data: bytes) -> "Peer":
        self.socket.sendall(data)
        return self

    def send_by_bytes(self, data: bytes) -> "Peer":
        """Send in pieces of one byte, each in a packet of its own."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(len(data)):
            self.socket.sendall(data[number : number + 1])
        return self

    def send_end(self) -> "Peer":
        """Close the sending side, but continue to read."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self) -> Reply:
        """Return the next response."""
        line = self.stream.readline()
        assert line, "closed without an answer"
        headers = {}
        while (field := self.stream.readline().decode("latin-1").strip()) != "":
            name, _, value = field.partition(": ")
            headers[name] = value
        return Reply(int(line.split()[1]), headers, self.stream.read(int(headers.get("Content-Length", "0"))))

    def replies(self, count: int) -> list[Reply]:
        return [self.reply() for _ in range(count)]

    def is_closed(self) -> bool:
        """Return whether the service closes the connection, now or soon, without more bytes."""
        with suppress(ConnectionResetError):
            return self.stream.read() == b""
        return True

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def reset(self) -> None:
        """Close so that the other side gets an error instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.close()
