"""How many limits pass a filter: counted once at each config revision, since only a management write can change it."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Select
from sqlalchemy.engine import Connection

from governance.storage import revisions

KEPT = 256
Values = tuple[tuple[str, str], ...]


class Totals:
    """The totals at the last revision that was read, of the last filters that were asked about."""

    def __init__(self) -> None:
        self._at: object = None
        self._kept: LRUCache[Values, int] = LRUCache(KEPT)
        self._lock = Lock()

    def of(self, connection: Connection, count: Select[Any], wanted: Mapping[str, str]) -> int:
        """What `count` counts with these values, at the revision and in the file that this transaction sees."""
        at, values = (connection.info["file"], revisions.current(connection)), tuple(wanted.items())
        with self._lock:
            if self._at != at:
                self._at = at
                self._kept.clear()
            total = self._kept.get(values)
        return self._counted(connection, count, values, at) if total is None else total

    def _counted(self, connection: Connection, count: Select[Any], values: Values, at: object) -> int:
        total = int(connection.execute(count, dict(values)).scalar_one())
        with self._lock:
            if self._at == at:
                self._kept[values] = total
        return total
