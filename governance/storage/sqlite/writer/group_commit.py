"""The writer thread of a worker: what waits at the same time shares one commit, in the order in which it came.

An act is a function of the batch. It may refuse (raise) before it has changed anything; that is its own caller's
affair. Where an act fails in any other way, the batch is undone and done again act by act: only the one that fails is
left out. Trouble with the database undoes the whole batch, and every caller is told to try again.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic
from typing import TypeVar

from governance.domain.deadlines import deadline
from governance.domain.errors import Unavailable
from governance.domain.times import Clock
from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.errors import is_trouble, unavailable
from governance.storage.sqlite.file_watch import FileWatch
from governance.storage.sqlite.locks.lock_holders import StoppedHolders
from governance.storage.sqlite.locks.progress import STALLED, Progress
from governance.storage.sqlite.locks.writer_lock import Turn, lock_files
from governance.storage.sqlite.writer.answers import Dictionaries
from governance.storage.sqlite.writer.fate import Fate, Overdue, WriteProbe, touch
from governance.storage.sqlite.writer.waiting import Act, Waiting, do_apart, do_together, end_all

Result = TypeVar("Result")
Finished = TypeVar("Finished")

logger = logging.getLogger("governance.storage")

MOST_TOGETHER = 256
GATHERING = 0.005
"""Seconds that a batch waits at most for as many callers as the last one had, since who came together comes together
again: of 32 callers the slowest hundredth waited 28 ms instead of 42, and 6 were served a sixth faster. Who is left
alone waits once, and then no more."""
LOOK_AGAIN = 0.25
"""Seconds after which a caller that waits for a writer that is stuck looks whether it may go on waiting."""
NOT_DONE = "Try again shortly: it was not this call's turn to be written in time."
NO_THREAD = "Try again shortly: the system has no thread left for the writer."
CUT_OFF = "Try again shortly: the writer was cut off in the middle of its work."
MAYBE_DONE = (
    "Try again shortly, with the same Idempotency-Key where there is one: the database did not say in time that this "
    "call was written, and it may still be."
)


class GroupCommit:
    """Does acts in batches on one database file. The thread starts with the first act, in the process that does it."""

    def __init__(
        self,
        path: Path,
        busy_timeout: float,
        clock: Clock,
        *,
        synchronous: str = "FULL",
        progress: Progress | None = None,
    ) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self.clock = clock
        self._synchronous = synchronous
        self._turn = Turn(path)
        self._holders = StoppedHolders(*lock_files(path))
        self._progress = progress or Progress()
        self.fate = Fate()
        self._probe = WriteProbe(self.fate, lambda until: self.submit(touch, until))
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._dictionaries = Dictionaries()
        self._watch = FileWatch(path)
        self._expected = 0
        self._all_there = Event()

    def deadline(self) -> float:
        """Until when (seconds of the monotonic clock) the caller waits, in all queues together."""
        return deadline(self._busy_timeout)

    def submit(self, act: Act[Result], until: float | None = None) -> Result:
        """Do an act and return its result, once that is on the disk. Raises what the act raises, and Unavailable."""
        return self.submit_then(act, _as_it_is, until)

    def submit_then(self, act: Act[Result], then: Callable[[Result], Finished], until: float | None = None) -> Finished:
        """Do an act and return what `then` makes of its result, once that is on the disk. Raises what they raise.

        The writer thread does `then` for a whole batch, one after another: for the callers' threads, each between
        other work, the same is more than twice the time. Raises Unavailable where it is not done until the deadline.
        """
        self._start()
        waiting = Waiting(act, then)
        with self._progress:
            self._queue.put(waiting)
            if 0 < self._expected <= self._queue.qsize():
                self._all_there.set()
            self._wait(waiting, self.deadline() if until is None else until)
        if waiting.error is not None:
            raise waiting.error
        return waiting.result  # type: ignore[no-any-return]

    def _wait(self, waiting: Waiting, until: float) -> None:
        """Wait until the act has ended. Raises Unavailable at the deadline, or if too many wait for a stuck writer."""
        seconds = STALLED
        while not waiting.wait(max(0.0, min(seconds, until - monotonic()))):
            late, crowded = monotonic() >= until, self._progress.is_crowded()
            if (late or crowded) and waiting.leave():
                raise Overdue(NOT_DONE if waiting.given_up else MAYBE_DONE)
            self._holders.look()
            seconds = LOOK_AGAIN

    def fault(self) -> str | None:
        """Why nothing can be written now; None where it can. Takes less than a second."""
        return self._probe.fault()

    def look_for_stopped(self) -> None:
        """Continue a process that was stopped with the turn: all callers may wait in that one."""
        self._holders.look()

    def stop(self) -> None:
        """End the thread, after all that waits."""
        with self._starting:
            if self._thread is not None:
                self._queue.put(None)
                self._thread.join()
                self._thread = None

    def _start(self) -> None:
        """See to it that the thread lives. Raises Unavailable where none can be started."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = Thread(target=self._run, name="group-commit", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    raise Unavailable(NO_THREAD) from error
                self._thread = thread

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                break
            try:
                self._serve(first)
            except BaseException:
                logger.exception("a batch ended in a way that nobody foresaw")
                self._close()
        self._close()
        self._turn.close()

    def _serve(self, first: Waiting) -> None:
        """One batch: the first that waits, and all that wait by the time it is our turn."""
        together = [first]
        error: Unavailable | None = Unavailable(CUT_OFF)
        try:
            self._gather()
            error = self._attempt(together)
            self._expected = len(together) - 1
            if error is None:
                self._written(together)
        finally:
            end_all(together, error)

    def _attempt(self, together: list[Waiting]) -> Unavailable | None:
        """Do a batch; why it was undone."""
        try:
            with self._turn:
                self._transact(together)
        except Exception as trouble:
            error = trouble if isinstance(trouble, Unavailable) else unavailable(trouble, self._path)
            logger.warning("a batch was undone: %s", trouble, exc_info=_unforeseen(trouble))
            self.fate.failed(error, trouble)
            together += self._waiting()
            self._close()
            self._turn.close()
            return error
        return None

    def _written(self, together: list[Waiting]) -> None:
        self._progress.advanced()
        self.fate.written(for_callers=any(waiting.act is not touch for waiting in together))
        for waiting in together:
            waiting.finish()

    def _gather(self) -> None:
        """Wait until as many have come behind the first as did last time, but not long."""
        self._all_there.clear()
        if self._queue.qsize() < self._expected:
            self._all_there.wait(GATHERING)

    def _transact(self, together: list[Waiting]) -> None:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        together += self._waiting()
        taken = [waiting for waiting in together if waiting.take()]
        now = self.clock()
        try:
            do_together(taken, connection, now, self._dictionaries)
        except Exception as fault:
            if is_trouble(fault):
                raise
            logger.warning("an act failed, so its batch is done again act by act: %r", fault)
            connection.rollback()
            connection.execute("BEGIN IMMEDIATE")
            do_apart(taken, connection, now, self._dictionaries)
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
        file = self._watch.file()
        if self._watch.is_another(file):
            self._close()
        if self._connection is None:
            self._connection = open_file(self._path, self._busy_timeout)
            self._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            self._watch.note(file)
            self._dictionaries = Dictionaries.of(self._connection)
        return self._connection

    def _close(self) -> None:
        """Give the connection up, and with it whatever transaction it is in."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _as_it_is(result: Result) -> Result:
    return result


def _unforeseen(trouble: Exception) -> Exception | None:
    """Trouble that is none of the database's: for the log, with its traceback."""
    return None if isinstance(trouble, sqlite3.Error | OSError | Unavailable) else trouble
