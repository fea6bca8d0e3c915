"""Runs tasks at regular intervals in a thread, such as the refresh of the snapshot.

The snapshot is a worker's copy of the database in memory. The worker starts the thread. The thread never starts when a
module is imported.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from time import monotonic

from governance.domain.errors import Unavailable

logger = logging.getLogger("governance.memory")


class Poller:
    """Runs its tasks once when it starts, and then every `interval` seconds. One run of all tasks is a poll.

    If a task fails, the error is logged, and the task runs again at the next poll.
    """

    def __init__(self, tasks: Sequence[Callable[[], object]], interval: float) -> None:
        self._tasks = tasks
        self._interval = interval
        self._stopping = Event()
        self._thread: Thread | None = None
        self._polling = Lock()

    def start(self) -> None:
        """Start the thread in this process. A second call has no effect."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = Thread(target=self._run, name="poller", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and then run the tasks one last time."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join(timeout=self._interval)
            self._thread = None
            self.poll()

    def poll(self) -> None:
        """Run every task once. Only one thread polls at a time."""
        with self._polling:
            for task in self._tasks:
                _try(task)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = monotonic()
            self.poll()
            self._stopping.wait(max(0.0, self._interval - (monotonic() - began)))


def _try(task: Callable[[], object]) -> None:
    try:
        task()
    except Unavailable as error:
        logger.warning("a task of the poller will be tried again: %s", error)
    except Exception:
        logger.exception("a task of the poller failed")
