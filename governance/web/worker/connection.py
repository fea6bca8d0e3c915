"""A client's connection, with the received bytes that are not answered yet, and the response bytes not sent yet.

The loop waits for all clients and receives their messages (requests). A thread answers each message.
"""

import select
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

from governance.web.worker.framing import Framing, MessageProgress

PIECE = 32 * 1024
"""The largest number of bytes in one `recv`."""
LARGE_PIECE = 256 * 1024
"""The largest number of bytes in one `recv` of a large body."""
MOST_PIECES = 512
"""The largest number of pieces in one `sendmsg`. Linux allows 1,024."""
ABORT = struct.pack("ii", 1, 0)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Outbox:
    """Replaces the socket while gunicorn writes a response. It collects the pieces, so that they are sent together."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Store a piece of the response."""
        self.pieces.append(data)

    def send(self, data: bytes) -> int:
        """Drop the data. gunicorn calls `send` only for "100 Continue", which the loop has sent already."""
        return len(data)

    def shutdown(self, _how: int) -> None:
        """Raise OSError.

        gunicorn calls this after a response that failed before its end. With the error, it does not wait for the client
        to close.
        """
        raise OSError

    def close(self) -> None:
        """Drop the response."""
        self.pieces.clear()


class Connection:
    """A client's socket, and the bytes in both directions.

    Only the method `pieces` waits for the client. While `is_busy` is true, a thread answers `message`, and only this
    thread uses the connection. At all other times, only the loop uses it.
    """

    __slots__ = (
        "came_at",
        "client",
        "drained",
        "expects_continue",
        "framing",
        "held",
        "is_busy",
        "is_chunked",
        "is_ended",
        "is_registered",
        "is_reusable",
        "is_whole",
        "message",
        "received",
        "rest",
        "server",
        "sock",
        "socket",
        "unsent",
        "wait",
    )

    def __init__(self, connected: socket.socket, client: Any, server: Any) -> None:
        connected.setblocking(False)
        self.socket = connected
        self.client, self.server, self.sock = client, server, Outbox()
        self.received: bytes | bytearray = b""
        self.framing = Framing()
        self.message, self.is_whole, self.is_chunked = b"", False, False
        self.came_at: float | None = None
        """The instant at which the message was completely received, in seconds of the monotonic clock.

        None if it is incomplete.
        """
        self.unsent: list[bytes | memoryview] = []
        self.is_busy = self.is_registered = self.is_ended = self.is_reusable = False
        self.drained = self.held = 0
        self.expects_continue, self.rest = False, 0
        """Two values of a large message: whether the client waits for "100 Continue", and the number of bytes that are
        still to come.
        """
        self.wait: Any = None
        """The queue (`WaitQueue`) that contains the connection, or None."""

    def receive(self) -> bytes | None:
        """Return bytes from the socket.

        Return empty bytes if the client has closed. Return None if no bytes have arrived yet. Raises OSError.
        """
        try:
            return self.socket.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return None

    def add(self, data: bytes) -> MessageProgress:
        """Append received bytes. Return the progress of the message."""
        if self.received:
            if not isinstance(self.received, bytearray):
                self.received = bytearray(self.received)
            self.received += data
        else:
            self.received = data
        return self.framing.look(self.received)

    def take(self) -> None:
        """Move the message from `received` to `message`. Later bytes stay, as a part of the next message."""
        self.is_whole, self.is_chunked = self.framing.progress is MessageProgress.WHOLE, self.framing.is_chunked
        end = self.framing.end if self.is_whole else len(self.received)
        self.message, self.received = bytes(self.received[:end]), bytes(self.received[end:])
        self.expects_continue = self.framing.expects_continue
        self.rest = self.framing.end - end if self.framing.progress is MessageProgress.LARGE else 0
        self.came_at = None if self.rest else monotonic()
        self.framing = Framing()

    def ask_for_body(self) -> None:
        """Send "100 Continue" if the client waits for it."""
        if self.framing.expects_continue:
            with suppress(OSError):  # if the client cannot receive 25 bytes, it cannot receive a response either
                self.socket.send(CONTINUE)

    def pieces(self, seconds: float) -> Iterator[bytes]:
        """Yield the message. If it is large, also yield the rest of its body, for at most `seconds`. Raises OSError."""
        yield self.message
        if self.rest and self.expects_continue:
            self.socket.send(CONTINUE)
        end, coming = monotonic() + seconds, select.poll()
        coming.register(self.socket, select.POLLIN)
        while self.rest and (left := end - monotonic()) > 0 and coming.poll(left * 1000):
            data = self.socket.recv(min(LARGE_PIECE, self.rest))
            if not data:
                return
            self.rest -= len(data)
            yield data

    def answer(self) -> None:
        """Send as much of the response as the socket accepts without waiting. Raises OSError."""
        self.unsent += self.sock.pieces
        self.sock.pieces = []
        self.flush()

    def flush(self) -> None:
        """Send as many unsent bytes as the socket accepts without waiting. Raises OSError."""
        if self.unsent:
            with suppress(BlockingIOError, InterruptedError):
                self.unsent = _behind(self.unsent, self.socket.sendmsg(self.unsent[:MOST_PIECES]))

    def end(self) -> None:
        """Shut down the sending side of the socket. Raises OSError."""
        self.socket.shutdown(socket.SHUT_WR)

    def weigh(self) -> int:
        """Return the number of received and unsent bytes that the connection holds in memory."""
        return len(self.received) + sum(map(len, self.unsent))

    def close(self) -> None:
        """Close the socket.

        If a part of the response is not sent, the operating system also drops the bytes in its send buffer.
        """
        with suppress(OSError):
            if self.unsent:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            self.socket.close()
        self.unsent = []


def _behind(pieces: Iterable[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    """Return the pieces without the first `sent` bytes."""
    rest: list[bytes | memoryview] = []
    for piece in pieces:
        if sent >= len(piece):
            sent -= len(piece)
        else:
            rest.append(memoryview(piece)[sent:] if sent else piece)
            sent = 0
    return rest
