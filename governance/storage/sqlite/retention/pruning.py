"""Pruning: what is old leaves, in slices, and every counter still equals its ledger.

A row of the ledger that goes is folded into its counter first, in the same transaction:
used = folded + Σ used of the rows that are left.
"""

import sqlite3
from typing import Protocol

import orjson

from governance.storage.sqlite.writer.answers import NOTED_AGAIN

VAIN = 2000
"""So many of the oldest rows in a row that are too young to go, and the walk ends: the clock may have stepped."""
FREE_PAGES_KEPT = 1024
"""Free pages are used again; giving back and asking anew for each of them would cost more than these."""
FREE_SHARE_KEPT = 8
"""One in so many pages may stay free."""
MOST_PAGES = 256
"""Pages given back in one slice: one that is free costs 8 µs, one whose content must move first up to 53."""
INCREMENTAL = 2
"""`PRAGMA auto_vacuum` of a file that can give pages back while it is used."""

OLDEST_RESERVATIONS = """
    SELECT seq, status <> 'open' AND ended_at < ? FROM reservations WHERE seq > ? ORDER BY seq LIMIT ?"""
OLDEST_ANSWERS = "SELECT seq, created_at < ? FROM answers WHERE seq > ? ORDER BY seq LIMIT ?"
THESE = "(SELECT value FROM json_each(?))"
FOLD = f"""
    UPDATE counters SET folded = folded + gone.used
    FROM (SELECT counter_id, sum(used) AS used FROM ledger WHERE seq IN {THESE} GROUP BY counter_id) AS gone
    WHERE counters.id = gone.counter_id"""  # noqa: S608
DROP_LEDGER = f"DELETE FROM ledger WHERE seq IN {THESE}"  # noqa: S608
DROP_RESERVATIONS = f"DELETE FROM reservations WHERE seq IN {THESE}"  # noqa: S608
DROP_ANSWERS = f"DELETE FROM answers WHERE seq IN {THESE}"  # noqa: S608
DROP_OLD_ANSWERS = """
    DELETE FROM idempotency WHERE (api_key_id, path, key) IN (
        SELECT api_key_id, path, key FROM idempotency WHERE created_at < ? ORDER BY created_at LIMIT ?)"""
CLOSED = """
    SELECT id FROM counters
    WHERE window_end < min(?, coalesce((SELECT created_at FROM reservations ORDER BY seq LIMIT 1), ?))"""
DROP_COUNTERS = f"DELETE FROM counters WHERE id IN {THESE} AND window_end < ?"  # noqa: S608
FIRST_ANSWER = """
    SELECT coalesce(
        (SELECT min(seq) FROM answers), (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'reservations'), 0)
"""
UNUSED = "SELECT id FROM answer_texts WHERE last_use <= ?"
DROP_TEXTS = f"DELETE FROM answer_texts WHERE id IN {THESE} AND last_use <= ?"  # noqa: S608


class PruningTask(Protocol):
    """Something to prune, slice by slice."""

    def look(self, connection: sqlite3.Connection) -> None:
        """Look, without the writers' turn, for what there is to do."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Look at up to `most` rows and drop the old ones, in the caller's transaction; whether more may be there."""


class OldestFirst:
    """Goes through a table from its oldest row on; ends with it, or after a stretch in which no row was old enough."""

    oldest: str

    def __init__(self, before: int) -> None:
        self._before = before
        self._last = 0
        self._vain = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Nothing: the oldest rows are found by their number."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Look at the next rows."""
        rows = connection.execute(self.oldest, (self._before, self._last, most)).fetchall()
        gone = [seq for seq, is_old in rows if is_old]
        if gone:
            self.drop(connection, _json(gone))
        self._vain = 0 if gone else self._vain + len(rows)
        self._last = rows[-1][0] if rows else self._last
        return len(rows) == most and self._vain < VAIN

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Drop rows; their numbers are a JSON array."""
        raise NotImplementedError


class EndedReservations(OldestFirst):
    """Reservations that ended before an instant, with their ledger."""

    oldest = OLDEST_RESERVATIONS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Fold them into their counters, and drop them."""
        for statement in (FOLD, DROP_LEDGER, DROP_RESERVATIONS):
            connection.execute(statement, (seqs,))


class OldAnswers(OldestFirst):
    """Answers that were kept before an instant."""

    oldest = OLDEST_ANSWERS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Drop them."""
        connection.execute(DROP_ANSWERS, (seqs,))


class AnswersBefore0007:
    """The same of versions before schema 0007."""

    def __init__(self, before: int) -> None:
        self._before = before

    def look(self, connection: sqlite3.Connection) -> None:
        """Nothing: an index tells which are old."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Drop the oldest."""
        return connection.execute(DROP_OLD_ANSWERS, (self._before, most)).rowcount == most


class ByIds:
    """Rows that are found by reading the whole table, which needs nobody's turn; then they are dropped by their ids."""

    drop: str

    def __init__(self, bound: int = 0) -> None:
        self._bound = bound
        self._ids: list[int] = []

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Drop the next, unless they have been used meanwhile."""
        now, self._ids = self._ids[:most], self._ids[most:]
        if now:
            connection.execute(self.drop, (_json(now), self._bound))
        return bool(self._ids)


class ClosedCounters(ByIds):
    """Counters whose window ended before an instant and before any reservation that is left."""

    drop = DROP_COUNTERS

    def look(self, connection: sqlite3.Connection) -> None:
        """Find them."""
        self._ids = [row[0] for row in connection.execute(CLOSED, (self._bound, self._bound))]


class UnusedAnswerTexts(ByIds):
    """Texts to which no answer refers: see `answers.py`."""

    drop = DROP_TEXTS

    def look(self, connection: sqlite3.Connection) -> None:
        """Find them."""
        self._bound = connection.execute(FIRST_ANSWER).fetchone()[0] - NOTED_AGAIN
        self._ids = [row[0] for row in connection.execute(UNUSED, (self._bound,))]


class FreePages:
    """Pages that nothing uses any more: what is beyond a reserve is given back to the file system."""

    def __init__(self) -> None:
        self._most = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Find out how many; none where the file cannot give any back (`flask governance compact` changes that)."""
        pages, free, mode = (_pragma(connection, name) for name in ("page_count", "freelist_count", "auto_vacuum"))
        kept = max(FREE_PAGES_KEPT, pages // FREE_SHARE_KEPT)
        self._most = max(0, free - kept) if mode == INCREMENTAL else 0

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Give some back, in a transaction of their own: sqlite3's `execute` would end the pragma after one page."""
        now = min(most, MOST_PAGES, self._most)
        if now:
            connection.executescript(f"PRAGMA incremental_vacuum({now})")
        self._most -= now
        return self._most > 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _json(numbers: list[int]) -> str:
    return orjson.dumps(numbers).decode()
