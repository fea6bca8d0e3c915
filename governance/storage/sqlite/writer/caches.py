"""Caches of database values for a worker's writer connection. They contain only values of committed batches."""

import sqlite3
from typing import NamedTuple, Self

from governance.storage.sqlite.writer.answers import AnswerTextsCache
from governance.storage.sqlite.writer.history import HistoryOptions, SeriesCache


class ConnectionCaches(NamedTuple):
    """The caches of one connection, and the options of the usage history.

    After any problem, the connection is replaced and gets new caches.
    """

    answer_texts: AnswerTextsCache
    series: SeriesCache
    history: HistoryOptions

    @classmethod
    def of(cls, connection: sqlite3.Connection, history: HistoryOptions) -> Self:
        """Return empty caches for a connection that was just opened."""
        return cls(AnswerTextsCache.of(connection), SeriesCache(), history)
