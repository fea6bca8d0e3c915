"""The one slot that holds the snapshot: a TTL cache that a poll keeps alive, and a read repopulates where none does."""

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
    """A snapshot, and when (seconds of the timer) it was last known to equal the database."""

    snapshot: Snapshot
    verified_at: float


class SnapshotCache:
    """Holds the last good snapshot for `lifetime` seconds after the last refresh that succeeded.

    `patience` is how many seconds a caller waits at most for a refresh that another one is at.
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
        """What is held now; None where nothing is, or it has expired."""
        with self._slot_lock:
            try:
                return self._slot[SLOT]  # on every request: `get` takes three times as long
            except KeyError:
                return None

    def get(self) -> LoadedSnapshot:
        """What is held; reloaded, once however many wait, where it has expired. Raises Unavailable."""
        return self.peek() or self._reloaded()

    def age(self, known: LoadedSnapshot) -> float:
        """Seconds since a snapshot was last known to equal the database."""
        return max(0.0, self._timer() - known.verified_at)

    @property
    def last_error(self) -> Exception | None:
        """Why the last refresh failed; None where it did not."""
        return self._error

    def refresh(self, until: float | None = None) -> LoadedSnapshot:
        """Bring the snapshot to the database's state of now, or later. Raises what the loader raises.

        Who comes while one is under way waits for the next: a refresh that began before a write was committed may
        not have seen it. All who wait for that next one share it, and its failure. Raises Unavailable where they have
        waited until a deadline, in seconds of the timer.
        """
        with self._turn:
            mine = self._must_run(self._begun + 1, until)
        if mine:
            self._run()
        return self._outcome()

    def catch_up(self, until: float | None = None) -> None:
        """Refresh, unless nothing was ever read here, as in a command: then the first load comes after what was done.

        A refresh that fails is logged and counted. Raises Unavailable as `refresh` does.
        """
        with self._turn:
            mine = self._begun > 0 and self._must_run(self._begun + 1, until)
        if mine:
            self._run()

    def _reloaded(self) -> LoadedSnapshot:
        """What the refresh under way brings, or else one of our own: many readers make one of them."""
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
        """Wait until refresh number `wanted` has ended, or nobody is at it: then it is the caller's to run."""
        seconds = self._patience if until is None else max(0.0, until - self._timer())
        if not self._turn.wait_for(lambda: self._ended == self._begun or self._ended >= wanted, seconds):
            raise Unavailable("Try again shortly: the memory is still being read.", code=Code.MEMORY_UNAVAILABLE)
        if self._ended >= wanted:
            return False
        self._begun += 1
        return True

    def _outcome(self) -> LoadedSnapshot:
        """What the last refresh brought. Raises what it raised."""
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
        except Exception as error:  # noqa: BLE001 - whatever it is, the last good snapshot stays, and it is told
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
    """Make what stays for good: the garbage collector looks at none of it, neither meanwhile nor ever after."""
    try:
        with pause_gc():
            yield
    finally:
        gc.freeze()
