"""The queues of connections for which the loop waits. Each wait has a deadline, counted from the start of the wait."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from governance.web.worker.connection import Connection

LINGER = 2.0
"""The number of seconds that a client has to read its last response and close."""
ROOM = 64 * 1024 * 1024
"""The largest number of bytes that all connections of a worker may hold.

These are received bodies, bodies that wait for a thread, and unsent responses.
"""


class Timeouts(NamedTuple):
    """The longest time of each wait, in seconds."""

    header: float = 10.0
    body: float = 30.0
    send: float = 30.0
    idle: float = 75.0


class WaitQueue:
    """Connections that wait for the same event with the same timeout, the longest waiting first."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: OrderedDict[Connection, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._ends)

    def begin(self, connection: Connection, now: float) -> None:
        """Add a connection, and remove it from its other queue."""
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
        """Yield the connections whose wait has timed out. The caller must remove each of them from the queue."""
        while (first := self.first()) is not None and self._ends[first] <= now:
            yield first

    def shorten(self, end: float) -> None:
        """Shorten all waits so that they end no later than `end`."""
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
        """All queues, in the order in which their connections are closed if there are too many."""
        self.held = 0
        """The number of bytes that all connections hold."""

    def weigh(self, connection: Connection, held: int) -> None:
        """Record the number of bytes that a connection holds."""
        self.held += held - connection.held
        connection.held = held

    def least_missed(self) -> Connection | None:
        """Return the connection to close for a new one: the first connection in the order of `all`."""
        return next((wait.first() for wait in self.all if wait), None)

    def largest_debtor(self) -> Connection | None:
        """Return the connection to close if all connections together hold too many bytes.

        Otherwise return None. It is the connection that has received or sent for the longest time.
        """
        return None if self.held <= ROOM else min(self.body, self.send, key=WaitQueue.began).first()
