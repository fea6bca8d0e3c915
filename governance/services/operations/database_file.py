"""The operations of commands on the database file: copy, compact, restore and create it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from governance.domain.times import Clock
from governance.storage.sqlite.files import backup, compaction, restore, service_lock, start_check
from governance.storage.sqlite.files.backup import BackupFile
from governance.storage.sqlite.files.compaction import FileSize
from governance.storage.sqlite.files.restore import RestoredFile


class DatabaseFile:
    """The database file. Each operation waits at most `busy_timeout` seconds for other processes."""

    def __init__(self, path: Path, busy_timeout: float, clock: Clock) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._clock = clock

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Prevent other processes from replacing the file during the `with` block. Raises NotReady, Conflict."""
        with service_lock.opened_by_command(self.path, self._busy_timeout):
            yield

    def check(self) -> None:
        """Raise NotReady if the file is missing or damaged, or if it belongs to another program."""
        start_check.check_for_command(self.path, self._busy_timeout)

    def back_up(self, target: Path, *, replace: bool) -> BackupFile:
        """Copy the database to a file. The service may be running."""
        return backup.backup(self.path, target, self._busy_timeout, replace=replace)

    def refuse_target(self, target: Path, *, replace: bool) -> None:
        """Raise InvalidRequest if the target is the database, or if it exists and `replace` is false."""
        backup.refuse_target(self.path, target, replace=replace)

    def size(self) -> FileSize:
        """Return the size of the file and of its free pages, in bytes."""
        return compaction.look(self.path, self._busy_timeout)

    def compact(self) -> FileSize:
        """Rewrite the file without its free pages. The service must be stopped. Raises Conflict, NotReady."""
        return compaction.compact(self.path, self._busy_timeout)

    def restore(self, source: Path, *, force: bool) -> RestoredFile:
        """Replace the file with a backup. The replaced file is kept under another name. The service must be stopped."""
        return restore.restore(self.path, source, self._clock(), self._busy_timeout, force=force)

    def begin_anew(self) -> None:
        """Create an empty database, even if other files of an earlier database are still there."""
        restore.begin_anew(self.path, self._clock(), self._busy_timeout)
