"""The writer's own connection to the database file, and its place in the queue of all writers."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from governance.storage.sqlite.database import open_file
from governance.storage.sqlite.file_watch import FileWatch
from governance.storage.sqlite.locks.writer_lock import WriterLock
from governance.storage.sqlite.writer.answers import AnswerTextsCache


class WriterConnection:
    """Opens the file when it is first needed, and anew where another has taken its place."""

    def __init__(self, path: Path, busy_timeout: float, synchronous: str) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._synchronous = synchronous
        self._watch = FileWatch(path)
        self._connection: sqlite3.Connection | None = None
        self.lock = WriterLock(path)
        self.dictionaries = AnswerTextsCache()

    def open(self) -> sqlite3.Connection:
        """The connection, to the file that is there now: what is written to a deleted one is lost."""
        file = self._watch.file()
        if file != self._watch.opened:
            self._disconnect()
        if self._connection is None:
            self._connection = open_file(self._path, self._busy_timeout)
            self._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            self._watch.note(file)
            self.dictionaries = AnswerTextsCache.of(self._connection)
        return self._connection

    def close(self) -> None:
        """Give the connection up, with whatever transaction it is in, and the lock."""
        self._disconnect()
        self.lock.close()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
