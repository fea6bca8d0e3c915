"""The loop of a worker: accepts connections, receives requests, sends what is left of responses, and ends waits.

A message is a request as bytes. `worker.py` contains `handle`, which a thread calls with one message.

The file is long because it is one state machine: each method may change the queue (`WaitQueue`) of a connection and
whether its socket is registered. In two files, a reader would need both open.
"""

import errno
import resource
import selectors
import socket
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from governance.domain.errors import GovernanceError
from governance.services.operations.refusal_log import RefusalLog
from governance.web.worker import early_errors
from governance.web.worker.connection import Connection
from governance.web.worker.framing import MessageProgress
from governance.web.worker.waits import Timeouts, WaitQueues, leave

OTHER_FILES = 128
"""The number of file descriptors reserved for the database, the log and the listeners."""
DRAINED = 1024 * 1024
"""The largest number of bytes that are read and dropped after the last response.

If they were not read, the client could lose the response.
"""
SEND_BUFFER = 128 * 1024
"""The send buffer of a connection in bytes. Linux doubles it. Without this setting, the buffer grows up to 4 MiB."""
MOST_ACCEPTED = 4
"""The largest number of connections that are accepted in one pass of the loop.

With 1, a client waited 4 s behind 200 clients that each sent 1 MB. With a large number, one worker would accept
connections that other workers could serve.
"""
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
TICK = 0.1
"""The number of seconds between two checks for waits that have timed out."""


READY = frozenset({MessageProgress.WHOLE, MessageProgress.LARGE, MessageProgress.REFUSED})
"""The states in which a thread gets the message. The thread itself receives a large body, after authentication."""


class PeerLoop(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's threaded worker, with a loop that waits for all clients. `gunicorn.conf.py` sets the timeouts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections: int = self.cfg.worker_connections
        self.waits = WaitQueues(Timeouts())
        self.refusals = early_errors.RefusalRenderer(RefusalLog(), is_secret=lambda _: False)
        self.next_tick = 0.0
        self.is_stopping = False

    def serve_with(self, timeouts: Timeouts, own_refusals: early_errors.RefusalRenderer) -> None:
        """Set the timeouts and the renderer of refusals. This is called before the worker runs."""
        self.waits, self.refusals = WaitQueues(timeouts), own_refusals

    def run(self) -> None:
        """Serve until the worker is stopped, then finish open requests."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY:
            self.worker_connections = max(1, min(self.worker_connections, files - OTHER_FILES))
        for listener in self.sockets:  # accepted sockets inherit the option
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().run()

    # In the loop: accept connections and receive messages.

    def accept(self, listener: Any) -> None:
        """Accept a few of the waiting connections."""
        for _ in range(MOST_ACCEPTED):
            if not self._accept(listener):
                return

    def _accept(self, listener: Any) -> bool:
        """Accept a connection if one is waiting. Return whether one was accepted.

        If there are too many connections, close others.
        """
        try:
            connected, client = listener.accept()
        except OSError as error:  # the usual cause: another worker accepted the connection, or the client has gone
            if error.errno in OUT_OF_FILES:
                self.worker_connections = max(1, self.nr_conns * 9 // 10)
                self._make_place()
            return False
        self.nr_conns += 1
        connection = Connection(connected, client, listener.getsockname())
        self.waits.head.begin(connection, monotonic())
        self._listen_to(connection)
        self._make_place()
        return True

    def _make_place(self) -> None:
        while self.nr_conns >= self.worker_connections and (least := self.waits.least_missed()) is not None:
            self._drop(least)

    def _listen_to(self, connection: Connection) -> None:
        if not connection.is_registered:
            self.poller.register(connection.socket, selectors.EVENT_READ, partial(self._readable, connection))
            connection.is_registered = True

    def _ignore(self, connection: Connection) -> None:
        if connection.is_registered:
            self.poller.unregister(connection.socket)
            connection.is_registered = False

    def _readable(self, connection: Connection, _socket: socket.socket) -> None:
        """Receive bytes. While the last message is being answered, further bytes stay in the system's buffer."""
        if not connection.is_registered or connection.wait is self.waits.send:
            return  # an earlier event of the same pass has changed what the loop waits for
        if connection.is_busy:
            self._ignore(connection)
            return
        try:
            data = connection.receive()
        except OSError:
            self._drop(connection)
            return
        if connection.wait is self.waits.linger:
            self._linger_on(connection, data)
        elif data:
            self._proceed(connection, connection.add(data))
        elif data is not None:
            self._ended(connection)

    def _proceed(self, connection: Connection, progress: MessageProgress) -> None:
        """Answer a complete message, or wait for the rest of it."""
        if progress in READY:
            self._answer(connection)
        elif progress is MessageProgress.BODY:
            self._await_body(connection)
        elif connection.wait is not self.waits.head:
            self.waits.head.begin(connection, monotonic())

    def _await_body(self, connection: Connection) -> None:
        if connection.wait is not self.waits.body:
            self.waits.body.begin(connection, monotonic())
            connection.ask_for_body()
        self._weigh(connection)

    def _ended(self, connection: Connection) -> None:
        """Handle a client that has closed its side of the connection.

        Answer an incomplete body with an error. Drop a connection with an incomplete head.
        """
        connection.is_ended = True
        if connection.wait is self.waits.body:
            self._ignore(connection)
            self._answer(connection)
        else:
            self._drop(connection)

    def _answer(self, connection: Connection) -> None:
        leave(connection)
        connection.take()
        self.waits.weigh(connection, len(connection.message))
        connection.is_busy = True
        self.enqueue_req(connection)

    # In the loop again: send the rest of the response, and wait for the next message.

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Get a connection back from its thread. gunicorn calls this."""
        conn.is_busy, conn.message = False, b""
        self.waits.weigh(conn, 0)
        conn.is_reusable = not fs.cancelled() and fs.exception() is None and fs.result()
        if conn.unsent:
            self._await_taking(conn)
        else:
            self._sent(conn)

    def _await_taking(self, connection: Connection) -> None:
        self._ignore(connection)
        self.waits.send.begin(connection, monotonic())
        self.poller.register(connection.socket, selectors.EVENT_WRITE, partial(self._writable, connection))
        connection.is_registered = True
        self._weigh(connection)

    def _writable(self, connection: Connection, _socket: socket.socket) -> None:
        if not connection.is_registered:
            return
        try:
            connection.flush()
        except OSError:
            self._drop(connection)
            return
        if not connection.unsent:
            self._ignore(connection)
            leave(connection)
            self.waits.weigh(connection, 0)
            self._sent(connection)

    def _sent(self, connection: Connection) -> None:
        """Continue with the next message, or close the connection."""
        if not connection.is_reusable:
            self._close(connection)
            return
        self.waits.idle.begin(connection, monotonic())
        if not self.alive:
            self.waits.idle.shorten(monotonic() + STOP_KEEPALIVE_LINGER)
        if connection.received:  # the next message arrived together with the last one
            self._proceed(connection, connection.framing.look(connection.received))
        if not connection.is_busy:
            self._listen_to(connection)

    def _close(self, connection: Connection) -> None:
        """Shut down the sending side. Then give the client time to read the response and close."""
        try:
            connection.end()
        except OSError:
            connection.is_ended = True
        if connection.is_ended:
            self._drop(connection)
        else:
            self.waits.linger.begin(connection, monotonic())
            self._listen_to(connection)

    def _linger_on(self, connection: Connection, data: bytes | None) -> None:
        connection.drained += len(data or b"")
        if data == b"" or connection.drained > DRAINED:
            self._drop(connection)

    # Timeouts.

    def murder_keepalived(self, force: bool = False) -> None:
        """End the waits that have timed out. If `force` is true, the worker is stopping, and all waits are ended."""
        now = monotonic()
        if not self.alive and not self.is_stopping:
            self._end_idling(now + STOP_KEEPALIVE_LINGER)
        if force:
            now = float("inf")
        elif now < self.next_tick:
            return
        self.next_tick = now + TICK
        for connection in self.waits.head.over(now):
            self._time_out(connection, early_errors.HEAD_TIMEOUT if connection.received.strip() else None)
        for connection in self.waits.body.over(now):
            self._time_out(connection, early_errors.BODY_TIMEOUT)
        for wait in (self.waits.send, self.waits.idle, self.waits.linger):
            for connection in wait.over(now):
                self._drop(connection)

    def _end_idling(self, deadline: float) -> None:
        """Limit idle waits to `deadline`, because the worker is stopping.

        A client that has sent no byte counts as idle.
        """
        self.is_stopping = True
        for connection in [each for each in self.waits.head if not each.received]:
            self.waits.idle.begin(connection, monotonic())
        self.waits.idle.shorten(deadline)

    def _time_out(self, connection: Connection, refusal: GovernanceError | None) -> None:
        leave(connection)
        if refusal is None:
            self._drop(connection)
            return
        connection.received = b""
        connection.is_reusable = False
        connection.sock.sendall(self.refusals.rendered(refusal, connection.client))
        try:
            connection.answer()
        except OSError:
            self._drop(connection)
            return
        self.waits.weigh(connection, 0)
        self._close(connection)

    def _weigh(self, connection: Connection) -> None:
        """Record the number of bytes that a connection holds.

        If all connections together hold too many, drop the one that has waited longest.
        """
        self.waits.weigh(connection, connection.weigh())
        while (debtor := self.waits.largest_debtor()) is not None:
            self._drop(debtor)

    def _drop(self, connection: Connection) -> None:
        """Close the connection without a response."""
        leave(connection)
        self.waits.weigh(connection, 0)
        self._ignore(connection)
        connection.close()
        self.nr_conns -= 1
