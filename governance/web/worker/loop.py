"""The loop of a worker: takes peers, waits for their messages, sends what they did not take at once, ends every wait.

`handle`, which a thread calls with one message, is `worker.py`'s.

Long because it is one state machine: each method is a step of it, and may change which wait a connection is in and
whether its socket is watched. Of two files, a reader would need both open.
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
from governance.web.worker import refusals
from governance.web.worker.connection import Connection
from governance.web.worker.framing import MessageProgress
from governance.web.worker.waits import Timeouts, Waits, leave

OTHER_FILES = 128
"""As many open files are left to the database, the log and the listeners."""
DRAINED = 1024 * 1024
"""As many bytes are read from a peer that sends on after its last answer, for it to read that."""
SEND_BUFFER = 128 * 1024
"""Bytes of answers that the system keeps for a connection, by itself up to 4 MiB; Linux doubles the number."""
MOST_ACCEPTED = 4
"""Peers in one turn of the loop. One alone let an honest peer wait 4 s behind 200 that each sent 1 MB; many would leave
other workers without."""
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
TICK = 0.1
"""Seconds between two looks at the ends of waits."""


READY = frozenset({MessageProgress.WHOLE, MessageProgress.LARGE, MessageProgress.REFUSED})
"""What a thread answers: a large body is read there, once the app has let its caller in."""


class PeerLoop(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's threaded worker, whose loop alone waits for peers. `gunicorn.conf.py` hands it the timeouts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections: int = self.cfg.worker_connections
        self.waits = Waits(Timeouts())
        self.refusals = refusals.Refusals(RefusalLog(), is_secret=lambda _: False)
        self.next_tick = 0.0
        self.is_stopping = False

    def serve_with(self, timeouts: Timeouts, own_refusals: refusals.Refusals) -> None:
        """Have every wait end after so many seconds, and refuse in this way; before the worker runs."""
        self.waits, self.refusals = Waits(timeouts), own_refusals

    def run(self) -> None:
        """Serve until told to stop, then finish what is under way."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY:
            self.worker_connections = max(1, min(self.worker_connections, files - OTHER_FILES))
        for listener in self.sockets:  # what they accept inherits it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().run()

    # In the loop: peers come, their messages become complete.

    def accept(self, listener: Any) -> None:
        """Take a few of the peers that have come."""
        for _ in range(MOST_ACCEPTED):
            if not self._accept(listener):
                return

    def _accept(self, listener: Any) -> bool:
        """Take a new peer, if there is one. Where there is no place for it, the one who is missed least goes."""
        try:
            connected, client = listener.accept()
        except OSError as error:  # most often: another worker was faster, or the peer has gone already
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
        """Receive, unless the last message is not answered yet: what comes meanwhile stays with the system."""
        if not connection.is_registered or connection.wait is self.waits.send:
            return  # of the events that came together, another has changed what is waited for
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
        """Answer a complete message; wait for the rest of one that is not."""
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
        """Have a body that was cut off refused; there is nobody to tell of half a head."""
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

    # In the loop again: the rest is sent, and the peer's next message awaited.

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Take a connection back from its thread."""
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
        """Go on with the next message, or close."""
        if not connection.is_reusable:
            self._close(connection)
            return
        self.waits.idle.begin(connection, monotonic())
        if not self.alive:
            self.waits.idle.shorten(monotonic() + STOP_KEEPALIVE_LINGER)
        if connection.received:  # it came together with the last one
            self._proceed(connection, connection.framing.look(connection.received))
        if not connection.is_busy:
            self._listen_to(connection)

    def _close(self, connection: Connection) -> None:
        """Say that nothing more will come; then let the peer read its answer and hang up."""
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

    # Waits end.

    def murder_keepalived(self, force: bool = False) -> None:
        """End the waits whose time is over; all of them, once the worker ends."""
        now = monotonic()
        if not self.alive and not self.is_stopping:
            self._end_idling(now + STOP_KEEPALIVE_LINGER)
        if force:
            now = float("inf")
        elif now < self.next_tick:
            return
        self.next_tick = now + TICK
        for connection in self.waits.head.over(now):
            self._time_out(connection, refusals.HEAD_TIMEOUT if connection.received.strip() else None)
        for connection in self.waits.body.over(now):
            self._time_out(connection, refusals.BODY_TIMEOUT)
        for wait in (self.waits.send, self.waits.idle, self.waits.linger):
            for connection in wait.over(now):
                self._drop(connection)

    def _end_idling(self, deadline: float) -> None:
        """End idle waits by then: the worker stops. Whoever has not sent a byte yet is idle too."""
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
        """Note what a connection keeps; where all keep too much, whoever takes longest goes."""
        self.waits.weigh(connection, connection.weigh())
        while (debtor := self.waits.largest_debtor()) is not None:
            self._drop(debtor)

    def _drop(self, connection: Connection) -> None:
        """Close without a word."""
        leave(connection)
        self.waits.weigh(connection, 0)
        self._ignore(connection)
        connection.close()
        self.nr_conns -= 1
