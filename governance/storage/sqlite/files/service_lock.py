"""Locks that show whether services and commands have the database open. A restore needs both locks for itself.

All services share the first lock. The worker processes of a service inherit the lock. So it is held until the last
worker has ended, even if the main process was killed. Commands share a second lock. There are two locks, because a
start checks the database file only if no other service holds the first lock. A running command must not prevent this
check.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from governance.domain.errors import NotReady
from governance.storage import private_files
from governance.storage.private_files import LockTimeoutError
from governance.storage.sqlite import paths
from governance.storage.sqlite.files import marker
from governance.storage.sqlite.files.faults import unusable

logger = logging.getLogger("governance.storage")

PATIENCE = 10.0
"""The longest time in seconds for which a start waits for the end of a restore."""
RESTORING = "Try again: the database {} is being restored, {}."


class ServiceLock:
    """The lock that a service holds from its start, before the database file is checked, until its stop."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._descriptor: int | None = None
        self._checked = False

    def begin(self) -> None:
        """Take the lock. Raises NotReady if a restore holds the lock, or if the lock file cannot be created."""
        path = path_of(self._database)
        try:
            private_files.make_folder(path.parent)
            self._descriptor = private_files.open_or_create(path)
            private_files.lock_within(self._descriptor, path, fcntl.LOCK_SH, PATIENCE)
        except OSError as error:
            self._close()
            raise unusable(self._database, error) from error

    def is_alone(self) -> bool:
        """Return whether no other service uses the database. The caller must hold the lock of `migrations.alone`."""
        if self._descriptor is None:
            return not is_held(self._database)
        alone = private_files.try_lock(self._descriptor, fcntl.LOCK_EX)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        return alone

    def checked(self) -> None:
        """Record that the start found no damage in the database file. Otherwise `end` records no clean stop."""
        self._checked = True

    def end(self) -> None:
        """Release the lock. Before that, record a clean stop of the last service in the marker (see `marker.py`)."""
        if self._descriptor is not None and self._checked:
            # if this fails, the next start checks the whole file, and there is no other effect
            with suppress(OSError, NotReady):
                self._note_stop(self._descriptor)
        self._close()

    def _note_stop(self, descriptor: int) -> None:
        if private_files.try_lock(descriptor, fcntl.LOCK_EX) and not marker.journal_beside(self._database):
            known = marker.Marker.read(self._database)
            if known:
                marker.write(self._database, known.database_id, stopped=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def path_of(database: Path) -> Path:
    """Return the path of the lock file that services share."""
    return paths.beside(database, paths.RUNNING)


def is_held(database: Path) -> bool:
    """Return whether a service uses the database."""
    if not path_of(database).exists():
        return False
    with private_files.opened(path_of(database)) as descriptor:
        return not private_files.try_lock(descriptor, fcntl.LOCK_EX)


@contextmanager
def opened_by_command(database: Path, patience: float) -> Iterator[None]:
    """Prevent a restore while a command has the database open.

    Raises NotReady if a restore is running. If the lock file cannot be created, the command runs without the lock. Then
    no restore can run, because a restore cannot create the lock file either.
    """
    path = paths.beside(database, paths.COMMANDS)
    with ExitStack() as stack:
        try:
            if os.path.lexists(database):
                descriptor = stack.enter_context(private_files.opened(path, os.O_RDONLY))
                private_files.lock_within(descriptor, path, fcntl.LOCK_SH, patience)
        except LockTimeoutError as error:
            raise NotReady(RESTORING.format(database, error)) from error
        except OSError as error:
            logger.debug("no lock for the command: %s", error)
        yield


@contextmanager
def stopped(database: Path) -> Iterator[None]:
    """Keep services from starting during the block. Raises LockTimeoutError if a service runs. Raises OSError."""
    with private_files.locked(path_of(database), 0):
        yield


@contextmanager
def without_commands(database: Path, patience: float) -> Iterator[None]:
    """Keep commands from opening the database during the block.

    Raises LockTimeoutError if a command still has the database open after `patience` seconds. Raises OSError.
    """
    with private_files.locked(paths.beside(database, paths.COMMANDS), patience):
        yield
