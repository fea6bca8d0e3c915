"""What the loop waits for, and until when: each wait for a peer has an end, counted from its beginning."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from governance.web.worker.connection import Connection

LINGER = 2.0
"""Seconds in which a peer that got its last answer can read it and hang up."""
ROOM = 64 * 1024 * 1024
"""Bytes that all connections of a worker keep together: bodies that come or wait for a thread, and answers that go."""


class Timeouts(NamedTuple):
    """Seconds for each wait, over the whole of it."""

    header: float = 10.0
    body: float = 30.0
    send: float = 30.0
    idle: float = 75.0


class Wait:
    """Connections that wait for the same thing, equally long: who began first is first."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: OrderedDict[Connection, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._ends)

    def begin(self, connection: Connection, now: float) -> None:
        """Have a connection wait, which leaves any other wait."""
        leave(connection)
        self._ends[connection] = now + self.seconds
        connection.wait = self

    def forget(self, connection: Connection) -> None:
        """Have a connection wait no longer."""
        del self._ends[connection]

    def first(self) -> Connection | None:
        """The connection that has waited longest."""
        return next(iter(self._ends), None)

    def began(self) -> float:
        """When the first connection began to wait; never where there is none."""
        return next(iter(self._ends.values()), float("inf")) - self.seconds

    def over(self, now: float) -> Iterator[Connection]:
        """The connections whose time is over; the caller has each leave the wait."""
        while (first := self.first()) is not None and self._ends[first] <= now:
            yield first

    def shorten(self, end: float) -> None:
        """Have nobody wait longer than to this end."""
        for connection, until in self._ends.items():
            self._ends[connection] = min(until, end)


def leave(connection: Connection) -> None:
    """End the wait that a connection is in, if any."""
    if connection.wait is not None:
        connection.wait.forget(connection)
        connection.wait = None


class Waits:
    """All waits of a worker."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.head, self.body = Wait(timeouts.header), Wait(timeouts.body)
        self.send, self.idle = Wait(timeouts.send), Wait(timeouts.idle)
        self.linger = Wait(LINGER)
        self.all = (self.linger, self.head, self.idle, self.body, self.send)
        """In the order in which connections are given up when there is no place for another."""
        self.held = 0
        """Bytes that the connections keep."""

    def weigh(self, connection: Connection, held: int) -> None:
        """Note how many bytes a connection keeps."""
        self.held += held - connection.held
        connection.held = held

    def least_missed(self) -> Connection | None:
        """Whom to give up for a new peer: a message that does not come is missed less than one that is on its way."""
        return next((wait.first() for wait in self.all if wait), None)

    def largest_debtor(self) -> Connection | None:
        """Whom to give up for room: of the bodies that come and the answers that go, the one that takes longest."""
        return None if self.held <= ROOM else min(self.body, self.send, key=Wait.began).first()
