"""The writer thread of a worker process. Acts that wait at the same time form a batch, and share one commit.

An act is a function that decides or charges one call. Its argument, the unit of work, collects the changes of a batch.
Acts run in the order of their arrival. An act may refuse: it raises a GovernanceError before it changes anything. Only
its own caller gets this error. After any other error of an act, the batch is rolled back. Its acts run again one by
one, without the failing act. After an error of the database, the batch is rolled back, and all callers get Unavailable.
If the thread ends unexpectedly, they get it too, `/readyz` reports it, and the next call starts a new thread.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic
from typing import TypeVar

from governance.domain.deadlines import deadline
from governance.domain.errors import Unavailable
from governance.domain.times import Clock
from governance.storage.sqlite.errors import is_trouble, unavailable
from governance.storage.sqlite.locks.lock_holders import StoppedHolders
from governance.storage.sqlite.locks.progress import STALLED, WriterProgress
from governance.storage.sqlite.locks.writer_lock import lock_files
from governance.storage.sqlite.writer.connection import WriterConnection
from governance.storage.sqlite.writer.health import OverdueError, WriteProbe, WriterHealth, touch
from governance.storage.sqlite.writer.history import USUAL_HISTORY, HistoryOptions
from governance.storage.sqlite.writer.waiting import Act, WaitingAct, do_apart, do_together, end_all

Result = TypeVar("Result")
Finished = TypeVar("Finished")

logger = logging.getLogger("governance.storage")

MOST_TOGETHER = 256
GATHERING = 0.005
"""The longest time in seconds for which a batch waits for as many callers as the last batch had. Callers that end
together often call again together, so waiting pays off: with 32 callers p99 fell from 42 to 28 ms. With 6 callers, a
sixth more calls are served. A single caller waits only once. After that, its batches expect no other callers."""
LOOK_AGAIN = 0.25
"""The number of seconds between two checks whether a caller may continue to wait for a stuck writer."""
NOT_DONE = "Try again shortly: it was not this call's turn to be written in time."
NO_THREAD = "Try again shortly: the system has no thread left for the writer."
CUT_OFF = "Try again shortly: the writer was cut off in the middle of its work."
ENDED = "Try again shortly: the writer has ended unexpectedly, and is being started again; the log says why."
MAYBE_DONE = (
    "Try again shortly, with the same Idempotency-Key where there is one: the database did not say in time that this "
    "call was written, and it may still be."
)


class GroupCommit:
    """Runs acts in batches on one database file. The first act starts the thread, in the process of its caller."""

    def __init__(
        self,
        path: Path,
        busy_timeout: float,
        clock: Clock,
        *,
        synchronous: str = "FULL",
        progress: WriterProgress | None = None,
        history: HistoryOptions = USUAL_HISTORY,
    ) -> None:
        self._path = path
        self.deadline = partial(deadline, busy_timeout)
        self.clock = clock
        self._writer = WriterConnection(path, busy_timeout, synchronous, history)
        self._holders = StoppedHolders(*lock_files(path))
        self._progress = progress or WriterProgress()
        self.fate = WriterHealth()
        self._probe = WriteProbe(self.fate, lambda until: self.submit(touch, until))
        self._queue: SimpleQueue[WaitingAct | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None
        self._told_to_stop = self._ended = False
        self._batch: list[WaitingAct] = []
        self._expected = 0
        self._all_there = Event()

    def submit(self, act: Act[Result], until: float | None = None) -> Result:
        """Run an act, and return its result after the commit. Raises the errors of the act, and Unavailable."""
        return self.submit_then(act, lambda result: result, until)

    def submit_then(self, act: Act[Result], then: Callable[[Result], Finished], until: float | None = None) -> Finished:
        """Run an act, and return `then(result)` after the commit.

        The writer thread calls `then` for all acts of a batch, because calling it in the callers' threads takes more
        than twice as long. Raises the errors of both functions, and Unavailable at the deadline.
        """
        waiting = WaitingAct(act, then)
        with self._progress:
            self._queue.put(waiting)
            if not self._is_alive():
                self._start(waiting)
            if 0 < self._expected <= self._queue.qsize():
                self._all_there.set()
            self._wait(waiting, self.deadline() if until is None else until)
        if waiting.error is not None:
            raise waiting.error
        return waiting.result  # type: ignore[no-any-return]

    def _wait(self, waiting: WaitingAct, until: float) -> None:
        """Wait for the act. Raises Unavailable at the deadline, or if too many threads wait for a stuck writer."""
        seconds = STALLED
        while not waiting.wait(max(0.0, min(seconds, until - monotonic()))):
            late, crowded = monotonic() >= until, self._progress.is_crowded()
            if (late or crowded) and waiting.leave():
                raise OverdueError(NOT_DONE if waiting.given_up else MAYBE_DONE)
            self.look_after()
            seconds = LOOK_AGAIN

    def fault(self) -> str | None:
        """Return why nothing can be written now, or None if writing works. This takes less than a second."""
        if not self._has_fallen():
            return self._probe.fault()
        self.look_after()
        return ENDED

    def look_after(self) -> None:
        """Start the thread again if it has ended. Resume a suspended process that holds the lock."""
        self._holders.look()
        if self._has_fallen():
            with suppress(Unavailable):
                self._start()

    def _is_alive(self) -> bool:
        """Return whether the thread serves the queue."""
        return self._thread is not None and not self._ended and self._thread.is_alive()

    def _has_fallen(self) -> bool:
        """Return whether the thread has ended without a call of `stop`."""
        return self._thread is not None and not self._told_to_stop and not self._is_alive()

    def stop(self) -> None:
        """End the thread after all acts in the queue have ended."""
        with self._starting:
            if self._thread is not None:
                if self._is_alive():
                    self._queue.put(None)
                self._thread.join()
                self._thread = None

    def _start(self, waiting: WaitingAct | None = None) -> None:
        """Start the thread if it does not run. Raises Unavailable if no thread can be started."""
        with self._starting:
            if self._is_alive():
                return
            thread = Thread(target=self._run, name="group-commit", daemon=True)
            self._told_to_stop = self._ended = False
            try:
                thread.start()
                self._thread = thread
            except RuntimeError as error:
                if waiting is None or waiting.leave():
                    raise Unavailable(NO_THREAD) from error

    def _run(self) -> None:
        """Run batches until `stop` is called. If the thread ends in another way, its callers get Unavailable."""
        with ExitStack() as stack:
            stack.callback(self._refuse_all)
            stack.callback(self._writer.close)
            try:
                while (first := self._queue.get()) is not None:
                    self._serve(first)
                self._told_to_stop = True
            except BaseException:
                logger.exception("the writer thread ended in a way that nobody foresaw")

    def _serve(self, first: WaitingAct) -> None:
        """Run one batch: the first act, and all acts that are waiting when this thread gets the lock."""
        self._batch = together = [first]
        error: Unavailable | None = None
        was_attempted = False
        try:
            self._all_there.clear()
            if self._queue.qsize() < self._expected:
                self._all_there.wait(GATHERING)
            error = self._attempt(together)
            was_attempted = True
            self._expected = len(together) - 1
            if error is None:
                self._progress.advanced()
                self.fate.written(for_callers=any(waiting.act is not touch for waiting in together))
                for waiting in together:
                    waiting.finish()
        except BaseException:
            error = error or Unavailable(MAYBE_DONE if was_attempted else CUT_OFF)
            logger.exception("a batch ended in a way that nobody foresaw")
            self._writer.close()
        finally:
            end_all(together, error)
        self._batch = []

    def _refuse_all(self) -> None:
        """After an unexpected end, wake all callers. The last batch may be written. The queued acts are not written."""
        batch, self._ended = self._batch, True  # from now on, the next caller starts another thread
        if self._told_to_stop:
            return
        for waiting in batch:
            waiting.refuse(Unavailable(MAYBE_DONE))
        queued: list[WaitingAct] = []
        self._take_queued(queued, self._queue.qsize())
        for waiting in queued:
            waiting.refuse(Unavailable(ENDED))

    def _attempt(self, together: list[WaitingAct]) -> Unavailable | None:
        """Run a batch. Return the error that rolled it back. Return None if it was committed."""
        try:
            with self._writer.lock:
                self._transact(together)
        except Exception as trouble:
            error = trouble if isinstance(trouble, Unavailable) else unavailable(trouble, self._path)
            foreseen = isinstance(trouble, sqlite3.Error | OSError | Unavailable)
            logger.warning("a batch was undone: %s", trouble, exc_info=None if foreseen else trouble)
            self.fate.failed(error, trouble)
            self._take_queued(together)
            self._writer.close()
            return error
        return None

    def _transact(self, together: list[WaitingAct]) -> None:
        connection = self._writer.open()
        connection.execute("BEGIN IMMEDIATE")
        self._take_queued(together)
        taken = [waiting for waiting in together if waiting.take()]
        now = self.clock()
        try:
            do_together(taken, connection, now, self._writer.caches)
        except Exception as fault:
            if is_trouble(fault):
                raise
            logger.warning("an act failed, so its batch is done again act by act: %r", fault)
            connection.rollback()
            connection.execute("BEGIN IMMEDIATE")
            do_apart(taken, connection, now, self._writer.caches)
        connection.commit()

    def _take_queued(self, together: list[WaitingAct], most: int = MOST_TOGETHER) -> None:
        """Move up to `most` acts from the queue into a batch."""
        with suppress(Empty):
            for _ in range(most):
                waiting = self._queue.get_nowait()
                if waiting is None:
                    self._queue.put(None)
                    break
                together.append(waiting)
