"""The writer thread of a worker: what waits at the same time shares one commit, in the order in which it came.

An act is a function of the batch. It may refuse (raise) before it has changed anything; that is its own caller's
affair. Trouble with the database undoes the whole batch, and every caller is told to try again.
"""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, TypeVar

from governance.domain.errors import GovernanceError, Unavailable
from governance.domain.times import Clock
from governance.storage.batch import Batch
from governance.storage.database import journal, open_file, refuse_mixture, unavailable
from governance.storage.turns import Turn

Result = TypeVar("Result")
Finished = TypeVar("Finished")
Act = Callable[[Batch], Result]

logger = logging.getLogger("governance.storage")

MOST_TOGETHER = 256
GATHERING = 0.005
"""Seconds that a batch waits at most for as many callers as the last one had, since who came together comes together
again: of 32 callers the slowest hundredth waited 28 ms instead of 42, and 6 were served a sixth faster. Who is left
alone waits once, and then no more."""
PATIENCE = 2
"""How many busy timeouts a caller waits for its act to begin."""


class Waiting:
    """An act that waits for its commit."""

    def __init__(self, act: Act[Any], then: Callable[[Any], Any]) -> None:
        self.act = act
        self.then = then
        self.result: Any = None
        self.error: BaseException | None = None
        self.taken = False
        self._claim = Lock()
        self._follower: Waiting | None = None
        self._pending = Lock()  # held until the act has ended: an Event would take six steps for each of these two
        self._pending.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Wait until the act has ended, and wake who waits behind; whether it has, within some seconds."""
        ended = self._pending.acquire(timeout=seconds)
        if ended and self._follower is not None:
            self._follower.wake()
        return ended

    def claim(self) -> bool:
        """Take the act: the writer to do it, or its caller to give it up; whoever comes first."""
        return self._claim.acquire(blocking=False)

    def take(self) -> bool:
        """Whether the act is the writer's."""
        self.taken = self.taken or self.claim()
        return self.taken

    def end(self, error: BaseException | None, follower: "Waiting | None") -> None:
        """The act is done. The batch's own error goes first: a refusal may be for what was undone with it."""
        self.error, self._follower = error or self.error, follower

    def wake(self) -> None:
        """Let the caller go on."""
        self._pending.release()


class GroupCommit:
    """Does acts in batches on one database file. The thread starts with the first act, in the process that does it."""

    def __init__(self, path: Path, busy_timeout: float, clock: Clock, *, synchronous: str = "FULL") -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self.clock = clock
        self._synchronous = synchronous
        self._turn = Turn(path)
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._journal: int | None = None
        self._expected = 0
        self._all_there = Event()

    def submit(self, act: Act[Result]) -> Result:
        """Do an act and return its result, once that is on the disk. Raises what the act raises, and Unavailable."""
        return self.submit_then(act, _as_it_is)

    def submit_then(self, act: Act[Result], then: Callable[[Result], Finished]) -> Finished:
        """Do an act and return what `then` makes of its result, once that is on the disk. Raises what they raise.

        The writer thread does `then` for a whole batch, one after another: for the callers' threads, each between
        other work, the same is more than twice the time.
        """
        self._start()
        waiting = Waiting(act, then)
        self._queue.put(waiting)
        if 0 < self._expected <= self._queue.qsize():
            self._all_there.set()
        if not waiting.wait(PATIENCE * self._busy_timeout):
            if waiting.claim():
                raise Unavailable("Try again shortly: too many calls are waiting to be written.")
            waiting.wait()
        if waiting.error is not None:
            raise waiting.error
        return waiting.result  # type: ignore[no-any-return]

    def stop(self) -> None:
        """End the thread, after all that waits."""
        with self._starting:
            if self._thread is not None:
                self._queue.put(None)
                self._thread.join()
                self._thread = None

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="group-commit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                break
            self._serve(first)
        self._close()
        self._turn.close()

    def _serve(self, first: Waiting) -> None:
        """One batch: the first that waits, and all that wait by the time it is our turn."""
        self._gather()
        together = [first]
        try:
            with self._turn:
                self._transact(together)
            error = None
        except Exception as trouble:
            error = trouble if isinstance(trouble, Unavailable) else unavailable(trouble, self._path)
            logger.warning("a batch was undone: %s", trouble, exc_info=_unforeseen(trouble))
            together += self._waiting()
            self._close()
            self._turn.close()
        self._expected = len(together) - 1
        if error is None:
            _finish(together)
        _end(together, error)

    def _gather(self) -> None:
        """Wait until as many have come behind the first as did last time, but not long."""
        self._all_there.clear()
        if self._queue.qsize() < self._expected:
            self._all_there.wait(GATHERING)

    def _transact(self, together: list[Waiting]) -> None:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        together += self._waiting()
        batch = Batch(connection, self.clock())
        for waiting in together:
            if waiting.take():
                _do(waiting, batch)
        batch.flush()
        connection.commit()

    def _waiting(self) -> list[Waiting]:
        found: list[Waiting] = []
        with suppress(Empty):
            while len(found) < MOST_TOGETHER:
                waiting = self._queue.get_nowait()
                if waiting is None:
                    self._queue.put(None)
                    break
                found.append(waiting)
        return found

    def _open(self) -> sqlite3.Connection:
        """The connection, to the file that is there now: what is written to a deleted one is lost."""
        stat = os.stat(self._path)  # noqa: PTH116 - on every batch
        file = (stat.st_dev, stat.st_ino)
        if self._file is not None and self._file != file:
            refuse_mixture(self._path, self._journal)
            self._close()
        if self._connection is None:
            self._connection = open_file(self._path, self._busy_timeout)
            self._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            self._file, self._journal = file, journal(self._path)
        return self._connection

    def _close(self) -> None:
        """Give the connection up, and with it whatever transaction it is in."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _finish(together: list[Waiting]) -> None:
    for waiting in together:
        if waiting.taken and waiting.error is None:
            try:
                waiting.result = waiting.then(waiting.result)
            except Exception as mistake:  # noqa: BLE001 - it is raised where the act came from
                waiting.error = mistake


def _as_it_is(result: Result) -> Result:
    return result


def _end(together: list[Waiting], error: BaseException | None) -> None:
    """Wake the first; each wakes the next as it wakes. All at once would fight for the interpreter lock."""
    taken = [waiting for waiting in together if waiting.take()]
    for waiting, follower in zip_longest(taken, taken[1:]):
        waiting.end(error, follower)
    for first in taken[:1]:
        first.wake()


def _unforeseen(trouble: Exception) -> Exception | None:
    """Trouble that is none of the database's: for the log, with its traceback."""
    return None if isinstance(trouble, sqlite3.Error | OSError | Unavailable) else trouble


def _do(waiting: Waiting, batch: Batch) -> None:
    try:
        waiting.result = waiting.act(batch)
    except GovernanceError as error:
        waiting.error = error
