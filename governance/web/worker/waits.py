"""The queues of connections that wait: for a request, for a body, or until the client has read a response.

The worker's loop (`loop.py`) moves connections between the queues. Each queue has a timeout. A connection times
out if it stays in the queue for longer.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from governance.web.worker.connection import Connection

LINGER = 2.0
"""The number of seconds that a client has to read its last response and close the connection."""
ROOM = 64 * 1024 * 1024
"""The largest number of bytes that all connections of a worker together may hold in memory.

These bytes are received parts of bodies, messages that a thread answers, and unsent responses.
"""


class Timeouts(NamedTuple):
    """The timeout of each queue, in seconds."""

    header: float = 10.0
    body: float = 30.0
    send: float = 30.0
    idle: float = 75.0


class WaitQueue:
    """Connections that wait for the same event with the same timeout. The one that has waited longest is first."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: OrderedDict[Connection, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._ends)

    def begin(self, connection: Connection, now: float) -> None:
        """Remove a connection from the queue that contains it, and add it to this queue."""
        leave(connection)
        self._ends[connection] = now + self.seconds
        connection.wait = self

    def forget(self, connection: Connection) -> None:
        """Remove a connection."""
        del self._ends[connection]

    def first(self) -> Connection | None:
        """Return the connection that has waited longest."""
        return next(iter(self._ends), None)

    def began(self) -> float:
        """Return when the first connection began to wait. Return infinity if there is none."""
        return next(iter(self._ends.values()), float("inf")) - self.seconds

    def over(self, now: float) -> Iterator[Connection]:
        """Yield the connections that have timed out.

        The caller must remove each connection before it takes the next, or it gets the same connection again.
        """
        while (first := self.first()) is not None and self._ends[first] <= now:
            yield first

    def shorten(self, end: float) -> None:
        """Set the deadline of each connection to `end`, if its deadline is later."""
        for connection, until in self._ends.items():
            self._ends[connection] = min(until, end)


def leave(connection: Connection) -> None:
    """Remove a connection from its queue, if it is in a queue."""
    if connection.wait is not None:
        connection.wait.forget(connection)
        connection.wait = None


class WaitQueues:
    """All queues of a worker."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.head, self.body = WaitQueue(timeouts.header), WaitQueue(timeouts.body)
        self.send, self.idle = WaitQueue(timeouts.send), WaitQueue(timeouts.idle)
        self.linger = WaitQueue(LINGER)
        self.all = (self.linger, self.head, self.idle, self.body, self.send)
        """All queues. If there are too many connections, those in the first queue are closed first."""
        self.held = 0
        """The number of bytes that all connections together hold."""

    def weigh(self, connection: Connection, held: int) -> None:
        """Record the number of bytes that a connection holds."""
        self.held += held - connection.held
        connection.held = held

    def least_missed(self) -> Connection | None:
        """Return the connection to close if there are too many: the first of the first queue that is not empty.

        Return None if all queues are empty.
        """
        return next((wait.first() for wait in self.all if wait), None)

    def largest_debtor(self) -> Connection | None:
        """Return the connection to close if all connections together hold more than `ROOM` bytes.

        This is the connection that has waited longest in the queue `body` or `send`. Return None if the bytes do not
        exceed `ROOM`, or if both queues are empty.
        """
        return None if self.held <= ROOM else min(self.body, self.send, key=WaitQueue.began).first()
