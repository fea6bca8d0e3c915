"""The writer thread's own connection to the database file, and the lock that it shares with other processes."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.file_watch import FileWatch
from governance.storage.sqlite.locks.writer_lock import WriterLock
from governance.storage.sqlite.writer.answers import AnswerTextsCache
from governance.storage.sqlite.writer.caches import ConnectionCaches
from governance.storage.sqlite.writer.history import HistoryOptions, SeriesCache


class WriterConnection:
    """The connection of the writer thread. It is opened at its first use.

    If another file has replaced the database file since, the connection is closed, and the other file is opened.
    """

    def __init__(self, path: Path, busy_timeout: float, synchronous: str, history: HistoryOptions) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._synchronous = synchronous
        self._watch = FileWatch(path)
        self._connection: sqlite3.Connection | None = None
        self.lock = WriterLock(path)
        self._history = history
        self.caches = ConnectionCaches(AnswerTextsCache(), SeriesCache(), history)

    def open(self) -> sqlite3.Connection:
        """Return a connection to the file that is at the path now. Writes to a deleted file would be lost."""
        file = self._watch.file()
        if file != self._watch.opened:
            self._disconnect()
        if self._connection is None:
            self._connection = open_file(self._path, self._busy_timeout)
            self._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            self._watch.note(file)
            self.caches = ConnectionCaches.of(self._connection, self._history)
        return self._connection

    def close(self) -> None:
        """Close the connection and the lock. An open transaction is rolled back."""
        self._disconnect()
        self.lock.close()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
