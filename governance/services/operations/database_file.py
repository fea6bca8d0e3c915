"""The life of the database file, as commands lead it: copied, compacted, restored, made anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from governance.domain.times import Clock
from governance.storage.sqlite.files import backup, compaction, restore, service_lock, start_check
from governance.storage.sqlite.files.backup import BackupFile
from governance.storage.sqlite.files.compaction import FileSize
from governance.storage.sqlite.files.restore import RestoredFile


class DatabaseFile:
    """One database file; `busy_timeout` in seconds is how long each act waits for others."""

    def __init__(self, path: Path, busy_timeout: float, clock: Clock) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._clock = clock

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have nothing put in the file's place meanwhile. Raises NotReady, Conflict."""
        with service_lock.opened_by_command(self.path, self._busy_timeout):
            yield

    def check(self) -> None:
        """Raise NotReady where the file is missing, foreign or damaged."""
        start_check.check_for_command(self.path, self._busy_timeout)

    def back_up(self, target: Path, *, replace: bool) -> BackupFile:
        """Copy the database to a file, also while the service runs."""
        return backup.backup(self.path, target, self._busy_timeout, replace=replace)

    def refuse_target(self, target: Path, *, replace: bool) -> None:
        """Raise InvalidRequest where a command may not write to a file: the database itself, or one that is there."""
        backup.refuse_target(self.path, target, replace=replace)

    def size(self) -> FileSize:
        """How large the file is, and how much of it nothing uses."""
        return compaction.look(self.path, self._busy_timeout)

    def compact(self) -> FileSize:
        """Write the file anew without free pages, while the service is stopped. Raises Conflict, NotReady."""
        return compaction.compact(self.path, self._busy_timeout)

    def restore(self, source: Path, *, force: bool) -> RestoredFile:
        """Put a backup in the file's place, while the service is stopped; what was there is kept."""
        return restore.restore(self.path, source, self._clock(), self._busy_timeout, force=force)

    def begin_anew(self) -> None:
        """Make a new, empty database, also where an earlier one was lost."""
        restore.begin_anew(self.path, self._clock(), self._busy_timeout)
