"""An act that waits for its commit, and functions that run the acts of a batch and wake their callers.

An act is a function that decides or charges one call. Its argument is the unit of work, which collects the changes of a
transaction. A batch consists of the acts that share one transaction.
"""

import sqlite3
from collections.abc import Callable
from itertools import zip_longest
from threading import Lock
from typing import Any, TypeVar

from governance.domain.errors import GovernanceError
from governance.storage.sqlite.errors import is_trouble
from governance.storage.sqlite.writer.caches import ConnectionCaches
from governance.storage.sqlite.writer.unit_of_work import SqliteUnitOfWork

Result = TypeVar("Result")
Act = Callable[[SqliteUnitOfWork], Result]


class WaitingAct:
    """An act, its result or error, and the lock on which its caller waits."""

    def __init__(self, act: Act[Any], then: Callable[[Any], Any]) -> None:
        self.act = act
        self.then = then
        self.result: Any = None
        self.error: BaseException | None = None
        self.taken = False
        self.given_up = False
        self._ended = False
        self._claim = Lock()
        self._parting = Lock()
        self._follower: WaitingAct | None = None
        self._pending = Lock()  # locked until the act has ended; an Event would need six calls instead of one
        self._pending.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Wait up to `seconds` for the end of the act. Return whether it has ended. If so, wake the next caller."""
        ended = self._pending.acquire(timeout=seconds)
        if ended and self._follower is not None:
            self._follower.wake()
        return ended

    def leave(self) -> bool:
        """Stop waiting. Return False if the caller is just being woken, because the act has ended.

        If the writer thread has not started the act yet, it will never run the act.
        """
        self.given_up = self.given_up or self._claim.acquire(blocking=False)
        return self._parting.acquire(blocking=False)

    def take(self) -> bool:
        """Claim the act for the writer thread. Return False if the caller has given up the act."""
        self.taken = self.taken or self._claim.acquire(blocking=False)
        return self.taken

    def do(self, batch: SqliteUnitOfWork) -> None:
        """Run the act. Store its result or its GovernanceError. Any other exception is raised."""
        self.result = self.error = None
        try:
            self.result = self.act(batch)
        except GovernanceError as error:
            self.error = error

    def finish(self) -> None:
        """Call `then` with the result. This is called after the commit."""
        if self.taken and self.error is None:
            try:
                self.result = self.then(self.result)
            except Exception as mistake:  # noqa: BLE001 - raised in the caller's thread
                self.error = mistake

    def end(self, error: BaseException | None, follower: "WaitingAct | None") -> None:
        """Record that the act has ended.

        An error of the batch replaces the act's own error, because the batch was rolled back.
        """
        self.error, self._follower, self._ended = error or self.error, follower, True

    def refuse(self, error: BaseException) -> None:
        """Wake the caller after the writer thread has ended, unless the caller has stopped waiting.

        If the act has ended, it keeps its own result or error.
        """
        if self._parting.acquire(blocking=False):
            self.error = self.error if self._ended else error
            self._pending.release()

    def wake(self) -> None:
        """Wake the caller. If the caller has stopped waiting, wake the next caller that still waits."""
        if self._parting.acquire(blocking=False):
            self._pending.release()
        elif self._follower is not None:
            self._follower.wake()


def do_together(acts: list[WaitingAct], connection: sqlite3.Connection, now: int, caches: ConnectionCaches) -> None:
    """Run acts in one unit of work, and write its changes. An unexpected error of an act is raised."""
    batch = SqliteUnitOfWork(connection, now, caches)
    for waiting in acts:
        waiting.do(batch)
    batch.flush()


def do_apart(acts: list[WaitingAct], connection: sqlite3.Connection, now: int, caches: ConnectionCaches) -> None:
    """Run each act in its own savepoint. Only acts that fail are rolled back."""
    for waiting in acts:
        connection.execute("SAVEPOINT act")
        try:
            do_together([waiting], connection, now, caches)
        except Exception as fault:
            if is_trouble(fault):
                raise
            connection.execute("ROLLBACK TO act")
            waiting.error = fault
        connection.execute("RELEASE act")


def end_all(together: list[WaitingAct], error: BaseException | None) -> None:
    """Record that the acts have ended, and wake the first caller. Each caller then wakes the next one.

    If all callers were woken at once, they would compete for Python's global interpreter lock.
    """
    taken = [waiting for waiting in together if waiting.take()]
    for waiting, follower in zip_longest(taken, taken[1:]):
        waiting.end(error, follower)
    for first in taken[:1]:
        first.wake()
