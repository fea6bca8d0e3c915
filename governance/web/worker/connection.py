"""One peer: what came from it and is not answered yet, and what it has not taken yet."""

import select
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

from governance.web.worker.framing import Framing, MessageProgress

PIECE = 32 * 1024
"""As many bytes are received in one go."""
LARGE_PIECE = 256 * 1024
"""Of a large body."""
MOST_PIECES = 512
"""As many pieces are sent in one go; Linux takes 1,024."""
ABORT = struct.pack("ii", 1, 0)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Outbox:
    """What gunicorn takes for the socket when it writes an answer: keeps the pieces, so that they are sent together."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Keep a piece of the answer."""
        self.pieces.append(data)

    def send(self, data: bytes) -> int:
        """Drop "100 Continue", all that gunicorn sends this way: the loop sent it before it waited for the body."""
        return len(data)

    def shutdown(self, _how: int) -> None:
        """Refuse: gunicorn closes an answer that failed half-way, and shall not wait for the peer."""
        raise OSError

    def close(self) -> None:
        """Forget the answer."""
        self.pieces.clear()


class Connection:
    """A peer's socket and its bytes in both directions. Nothing here waits.

    The loop has it, but for the time in which `is_busy`: then a thread answers `message`.
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
        """When all of the message was here (monotonic clock); None where the rest of it is still to come."""
        self.unsent: list[bytes | memoryview] = []
        self.is_busy = self.is_registered = self.is_ended = self.is_reusable = False
        self.drained = self.held = 0
        self.expects_continue, self.rest = False, 0
        """Of a large message: whether its peer waits to be asked for the body, and how much of that is to come."""
        self.wait: Any = None
        """The wait that the connection is in, if any."""

    def receive(self) -> bytes | None:
        """What has come; nothing where the peer has ended, None where nothing is there. Raises OSError."""
        try:
            return self.socket.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return None

    def add(self, data: bytes) -> MessageProgress:
        """Put bytes behind those that are here; how far the message then is."""
        if self.received:
            if not isinstance(self.received, bytearray):
                self.received = bytearray(self.received)
            self.received += data
        else:
            self.received = data
        return self.framing.look(self.received)

    def take(self) -> None:
        """Make a message of what is here, to be answered; the rest belongs to the next one."""
        self.is_whole, self.is_chunked = self.framing.progress is MessageProgress.WHOLE, self.framing.is_chunked
        end = self.framing.end if self.is_whole else len(self.received)
        self.message, self.received = bytes(self.received[:end]), bytes(self.received[end:])
        self.expects_continue = self.framing.expects_continue
        self.rest = self.framing.end - end if self.framing.progress is MessageProgress.LARGE else 0
        self.came_at = None if self.rest else monotonic()
        self.framing = Framing()

    def ask_for_body(self) -> None:
        """Tell a peer that waits for it that its body is wanted."""
        if self.framing.expects_continue:
            with suppress(OSError):  # whoever does not take 25 bytes will not get an answer either
                self.socket.send(CONTINUE)

    def pieces(self, seconds: float) -> Iterator[bytes]:
        """The message; then, of a large one, what comes of its body within so many seconds. Raises OSError."""
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
        """Send of the answer what the peer takes at once. Raises OSError."""
        self.unsent += self.sock.pieces
        self.sock.pieces = []
        self.flush()

    def flush(self) -> None:
        """Send what the peer takes at once. Raises OSError."""
        if self.unsent:
            with suppress(BlockingIOError, InterruptedError):
                self.unsent = _behind(self.unsent, self.socket.sendmsg(self.unsent[:MOST_PIECES]))

    def end(self) -> None:
        """Tell the peer that nothing more will come. Raises OSError."""
        self.socket.shutdown(socket.SHUT_WR)

    def weigh(self) -> int:
        """How many bytes are kept for the peer."""
        return len(self.received) + sum(map(len, self.unsent))

    def close(self) -> None:
        """Forget the peer; what it has not taken, the system shall not keep for it either."""
        with suppress(OSError):
            if self.unsent:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            self.socket.close()
        self.unsent = []


def _behind(pieces: Iterable[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    """The pieces, less as many bytes."""
    rest: list[bytes | memoryview] = []
    for piece in pieces:
        if sent >= len(piece):
            sent -= len(piece)
        else:
            rest.append(memoryview(piece)[sent:] if sent else piece)
            sent = 0
    return rest
