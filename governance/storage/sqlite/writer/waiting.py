"""An act that waits for its commit; how those of one batch are done, and woken."""

import sqlite3
from collections.abc import Callable
from itertools import zip_longest
from threading import Lock
from typing import Any, TypeVar

from governance.domain.errors import GovernanceError
from governance.storage.sqlite.errors import is_trouble
from governance.storage.sqlite.writer.answers import AnswerTextsCache
from governance.storage.sqlite.writer.unit_of_work import SqliteUnitOfWork

Result = TypeVar("Result")
Act = Callable[[SqliteUnitOfWork], Result]


class WaitingAct:
    """An act that waits for its commit."""

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
        self._pending = Lock()  # held until the act has ended: an Event would take six steps for each of these two
        self._pending.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Wait until the act has ended, and wake who waits behind; whether it has, within some seconds."""
        ended = self._pending.acquire(timeout=seconds)
        if ended and self._follower is not None:
            self._follower.wake()
        return ended

    def leave(self) -> bool:
        """Wait no longer; False where the act has ended just now. An act that the writer has not taken is given up."""
        self.given_up = self.given_up or self._claim.acquire(blocking=False)
        return self._parting.acquire(blocking=False)

    def take(self) -> bool:
        """Whether the act is the writer's, and not given up by its caller; whoever comes first."""
        self.taken = self.taken or self._claim.acquire(blocking=False)
        return self.taken

    def do(self, batch: SqliteUnitOfWork) -> None:
        """Do the act; its refusal is for its caller. Raises what nobody foresaw."""
        self.result = self.error = None
        try:
            self.result = self.act(batch)
        except GovernanceError as error:
            self.error = error

    def finish(self) -> None:
        """Make of the result what its caller wants, now that it is on the disk."""
        if self.taken and self.error is None:
            try:
                self.result = self.then(self.result)
            except Exception as mistake:  # noqa: BLE001 - it is raised where the act came from
                self.error = mistake

    def end(self, error: BaseException | None, follower: "WaitingAct | None") -> None:
        """The act is done. The batch's own error goes first: a refusal may be for what was undone with it."""
        self.error, self._follower, self._ended = error or self.error, follower, True

    def refuse(self, error: BaseException) -> None:
        """Wake the caller of an act whose writer is gone, unless it has left; an act that was ended keeps its end."""
        if self._parting.acquire(blocking=False):
            self.error = self.error if self._ended else error
            self._pending.release()

    def wake(self) -> None:
        """Let the caller go on; where it has left, the next one that has not."""
        if self._parting.acquire(blocking=False):
            self._pending.release()
        elif self._follower is not None:
            self._follower.wake()


def do_together(
    acts: list[WaitingAct], connection: sqlite3.Connection, now: int, dictionaries: AnswerTextsCache
) -> None:
    """Do acts in one batch, and write it. An act that fails in a way that nobody foresaw ends it."""
    batch = SqliteUnitOfWork(connection, now, dictionaries)
    for waiting in acts:
        waiting.do(batch)
    batch.flush()


def do_apart(acts: list[WaitingAct], connection: sqlite3.Connection, now: int, dictionaries: AnswerTextsCache) -> None:
    """Do each act in a savepoint of its own; the one that fails is undone alone."""
    for waiting in acts:
        connection.execute("SAVEPOINT act")
        try:
            do_together([waiting], connection, now, dictionaries)
        except Exception as fault:
            if is_trouble(fault):
                raise
            connection.execute("ROLLBACK TO act")
            waiting.error = fault
        connection.execute("RELEASE act")


def end_all(together: list[WaitingAct], error: BaseException | None) -> None:
    """Wake the first; each wakes the next as it wakes. All at once would fight for the interpreter lock."""
    taken = [waiting for waiting in together if waiting.take()]
    for waiting, follower in zip_longest(taken, taken[1:]):
        waiting.end(error, follower)
    for first in taken[:1]:
        first.wake()
