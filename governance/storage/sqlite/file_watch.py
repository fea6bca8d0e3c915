"""Notices when another file has replaced the database file at its path."""

import os
from pathlib import Path

from governance.domain.errors import Unavailable
from governance.storage.sqlite.paths import WAL, beside

FileId = tuple[int, int]
"""(device, inode)."""
REPLACED = (
    "Stop the service, remove {0}-wal and {0}-shm, and start it again: the database file was replaced while it ran."
)


class FileWatch:
    """Compares the file at a path with the file that was last opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.opened: FileId | None = None
        self._log: int | None = None

    def file(self) -> FileId:
        """Return the id (device, inode) of the file that is at the path now.

        Raises OSError if there is no file. Raises Unavailable if there is another file than before and the write-ahead
        log of the old file still exists. SQLite would apply the old log to the new file and destroy the new file.
        """
        stat = os.stat(self._path)  # noqa: PTH116 - three times as fast as Path.stat; each batch calls it
        file = stat.st_dev, stat.st_ino
        if file != self.opened is not None:
            self._refuse_old_log()
        return file

    def note(self, opened: FileId) -> None:
        """Store the id of the file that was opened, and the inode of its write-ahead log."""
        self.opened, self._log = opened, _inode(beside(self._path, WAL))

    def _refuse_old_log(self) -> None:
        log = beside(self._path, WAL)
        if _inode(log) == self._log is not None and log.stat().st_size:
            raise Unavailable(REPLACED.format(self._path.name))


def _inode(file: Path) -> int | None:
    return file.stat().st_ino if file.exists() else None
