"""Caches the snapshot, which is a worker's copy of the database in memory, for a limited time.

The cache has one entry. The worker polls the database every few seconds, and each poll renews the entry. If the entry
has expired, the next read reloads the snapshot.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Lock
from typing import NamedTuple

from cachetools import TTLCache

from governance.domain.errors import Code, GovernanceError, Unavailable
from governance.domain.gc_pause import pause_gc
from governance.domain.records.changes import Loader, yield_gil
from governance.snapshot import snapshot as snapshots
from governance.snapshot.snapshot import Snapshot

logger = logging.getLogger("governance.memory")

SLOT = "snapshot"
Timer = Callable[[], float]


class LoadedSnapshot(NamedTuple):
    """A snapshot, and the time at which it was last compared with the database, in seconds of the timer."""

    snapshot: Snapshot
    verified_at: float


class SnapshotCache:
    """Contains the last good snapshot for `lifetime` seconds after the last successful refresh.

    `patience` is the longest time in seconds for which a caller waits for the refresh of another thread.
    """

    def __init__(self, loader: Loader, lifetime: float, timer: Timer, patience: float = 60.0) -> None:
        self._loader = loader
        self._timer = timer
        self._patience = patience
        self._slot: TTLCache[str, LoadedSnapshot] = TTLCache(maxsize=1, ttl=lifetime, timer=timer)
        self._slot_lock = Lock()
        self._turn = Condition()
        self._begun = 0
        self._ended = 0
        self._last: Snapshot | None = None
        self._error: Exception | None = None
        self.failures = 0

    def peek(self) -> LoadedSnapshot | None:
        """Return the loaded snapshot. Return None if there is none or if it has expired."""
        with self._slot_lock:
            try:
                return self._slot[SLOT]  # every request runs this code, and `get` would take three times as long
            except KeyError:
                return None

    def get(self) -> LoadedSnapshot:
        """Return the snapshot.

        If it has expired, reload it. All waiting threads share one reload. Raises Unavailable.
        """
        return self.peek() or self._reloaded()

    def age(self, known: LoadedSnapshot) -> float:
        """Return the number of seconds since a snapshot was last compared with the database."""
        return max(0.0, self._timer() - known.verified_at)

    @property
    def last_error(self) -> Exception | None:
        """The error of the last refresh, or None."""
        return self._error

    def refresh(self, until: float | None = None) -> LoadedSnapshot:
        """Load the state that the database has now, or a later one.

        Raises the errors of the loader. A caller that arrives during a refresh waits for the next refresh, because the
        current refresh may have begun before the caller's commit. All waiting callers share the next refresh, and get
        the same error if it fails. Raises Unavailable at the deadline `until`, in seconds of the timer.
        """
        with self._turn:
            mine = self._must_run(self._begun + 1, until)
        if mine:
            self._run()
        return self._outcome()

    def catch_up(self, until: float | None = None) -> None:
        """Refresh the snapshot if this process has loaded it before.

        A process that runs a command (not the server) never loads the snapshot, because it does not need one. If the
        refresh fails, the error is logged and counted, but not raised. Raises Unavailable if the refresh of another
        thread does not end by the deadline `until`.
        """
        with self._turn:
            mine = self._begun > 0 and self._must_run(self._begun + 1, until)
        if mine:
            self._run()

    def _reloaded(self) -> LoadedSnapshot:
        """Return the result of the running refresh. If no refresh is running, run one.

        Many readers share one refresh.
        """
        with self._turn:
            known = self.peek()
            mine = known is None and self._must_run(self._ended + 1)
        if mine:
            self._run()
        try:
            return known or self._outcome()
        except Exception as error:
            sentence = "Try again shortly, or ask without from_memory: the memory has expired and cannot be reloaded."
            raise Unavailable(sentence, code=Code.MEMORY_UNAVAILABLE) from error

    def _must_run(self, wanted: int, until: float | None = None) -> bool:
        """Wait until the refresh with the number `wanted` has ended, or until no refresh runs.

        Return whether the caller must run that refresh. Refreshes are numbered in the order in which they begin.
        """
        seconds = self._patience if until is None else max(0.0, until - self._timer())
        if not self._turn.wait_for(lambda: self._ended == self._begun or self._ended >= wanted, seconds):
            raise Unavailable("Try again shortly: the memory is still being read.", code=Code.MEMORY_UNAVAILABLE)
        if self._ended >= wanted:
            return False
        self._begun += 1
        return True

    def _outcome(self) -> LoadedSnapshot:
        """Return the snapshot that the last refresh loaded, or raise its error."""
        if self._error is not None:
            raise self._error
        known = self.peek()
        if known is None:
            raise Unavailable("Try again: the memory expired while it was read.", code=Code.MEMORY_UNAVAILABLE)
        return known

    def _run(self) -> None:
        try:
            known = self._load()
            self._last = known.snapshot
            with self._slot_lock:
                self._slot[SLOT] = known
            self._error = None
        except Exception as error:  # noqa: BLE001 - the last good snapshot stays, and the error is logged
            self._fail(error)
        finally:
            with self._turn:
                self._ended += 1
                self._turn.notify_all()

    def _load(self) -> LoadedSnapshot:
        verified_at = self._timer()
        last = self._last
        if last is None:
            with _for_good():
                return LoadedSnapshot(snapshots.first(self._loader(None)), verified_at)
        changes = self._loader(last.mark)
        if changes.mark == last.mark:
            return LoadedSnapshot(last, verified_at)
        yield_gil()
        after = snapshots.moved(last, changes)
        yield_gil()
        return LoadedSnapshot(after, verified_at)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self.failures += 1
        expected = isinstance(error, GovernanceError)
        logger.warning("the memory was not refreshed: %s", error, exc_info=None if expected else error)


@contextmanager
def _for_good() -> Iterator[None]:
    """Pause the garbage collector during the block.

    After that, exclude all existing objects from garbage collection permanently.
    """
    try:
        with pause_gc():
            yield
    finally:
        gc.freeze()
