"""Deletes old rows in slices. Every counter stays equal to its ledger.

A ledger row is added to its counter's `folded` sum in the transaction that deletes it:
used = folded + Σ used of the remaining rows.
"""

import sqlite3
from typing import Protocol

import orjson

from governance.domain.times import HOUR
from governance.storage.sqlite.writer.answers import NOTED_AGAIN

VAIN = 2000
"""The walk through a table ends after this many rows in a row that are too young. The clock may have been set back."""
FREE_PAGES_KEPT = 1024
"""Free pages that stay in the file. New rows use them, which costs less than to grow the file again."""
FREE_SHARE_KEPT = 8
"""One of this many pages may stay free."""
MOST_PAGES = 256
"""The most pages returned in one slice: a free page takes 8 µs, a page whose content must move first up to 53."""
INCREMENTAL = 2
"""The value of `PRAGMA auto_vacuum` for a file that can return pages while it is in use."""

OLDEST_RESERVATIONS = """
    SELECT seq, status <> 'open' AND ended_at < ? FROM reservations WHERE seq > ? ORDER BY seq LIMIT ?"""
OLDEST_ANSWERS = "SELECT seq, created_at < ? FROM answers WHERE seq > ? ORDER BY seq LIMIT ?"
THESE = "(SELECT value FROM json_each(?))"
FOLD = f"""
    UPDATE counters SET folded = folded + gone.used
    FROM (SELECT counter_id, sum(used) AS used FROM ledger WHERE seq IN {THESE} GROUP BY counter_id) AS gone
    WHERE counters.id = gone.counter_id"""  # noqa: S608
PRUNED_UNTIL = f"""
    UPDATE usage_bounds SET pruned_until = max(
        pruned_until, (SELECT max(created_at) + 1 FROM reservations WHERE seq IN {THESE}))"""  # noqa: S608
DROP_LEDGER = f"DELETE FROM ledger WHERE seq IN {THESE}"  # noqa: S608
DROP_RESERVATIONS = f"DELETE FROM reservations WHERE seq IN {THESE}"  # noqa: S608
DROP_ANSWERS = f"DELETE FROM answers WHERE seq IN {THESE}"  # noqa: S608
DROP_OLD_ANSWERS = """
    DELETE FROM idempotency WHERE (api_key_id, path, key) IN (
        SELECT api_key_id, path, key FROM idempotency WHERE created_at < ? ORDER BY created_at LIMIT ?)"""
A_DAY = 22 * HOUR
"""Windows from this length on count as days: where the clock changes, a day has 23 hours or fewer."""
CLOSED = f"""
    SELECT id FROM counters
    WHERE window_end < CASE WHEN window_end - window_start >= {A_DAY} THEN ? ELSE ? END
    AND window_end < coalesce((SELECT created_at FROM reservations ORDER BY seq LIMIT 1), window_end + 1)"""  # noqa: S608
DROP_COUNTERS = f"DELETE FROM counters WHERE id IN {THESE} AND window_end < ?"  # noqa: S608
FIRST_ANSWER = """
    SELECT coalesce(
        (SELECT min(seq) FROM answers), (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'reservations'), 0)
"""
UNUSED = "SELECT id FROM answer_texts WHERE last_use <= ?"
DROP_TEXTS = f"DELETE FROM answer_texts WHERE id IN {THESE} AND last_use <= ?"  # noqa: S608


class PruningTask(Protocol):
    """A kind of rows to prune, slice by slice."""

    def look(self, connection: sqlite3.Connection) -> None:
        """Find out what there is to do, without the writer lock."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Check up to `most` rows, and delete the old ones in the caller's transaction. Whether more may follow."""


class OldestFirst:
    """Goes through a table from its oldest row on. Ends after `VAIN` rows in a row that are too young."""

    oldest: str

    def __init__(self, before: int) -> None:
        self._before = before
        self._last = 0
        self._vain = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing: the oldest rows are found by their number."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Check the next rows."""
        rows = connection.execute(self.oldest, (self._before, self._last, most)).fetchall()
        gone = [seq for seq, is_old in rows if is_old]
        if gone:
            self.drop(connection, _json(gone))
        self._vain = 0 if gone else self._vain + len(rows)
        self._last = rows[-1][0] if rows else self._last
        return len(rows) == most and self._vain < VAIN

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Delete rows. Their numbers are a JSON array."""
        raise NotImplementedError


class EndedReservations(OldestFirst):
    """Reservations that ended before an instant, with their ledger rows."""

    oldest = OLDEST_RESERVATIONS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Add the ledger rows to their counters' `folded` sums, and delete the reservations."""
        for statement in (FOLD, PRUNED_UNTIL, DROP_LEDGER, DROP_RESERVATIONS):
            connection.execute(statement, (seqs,))


class OldAnswers(OldestFirst):
    """Answers that were stored before an instant."""

    oldest = OLDEST_ANSWERS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Delete the answers."""
        connection.execute(DROP_ANSWERS, (seqs,))


class AnswersBefore0007:
    """Answers that versions before schema 0007 stored."""

    def __init__(self, before: int) -> None:
        self._before = before

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing: an index finds the old ones."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the oldest answers."""
        return connection.execute(DROP_OLD_ANSWERS, (self._before, most)).rowcount == most


class ByIds:
    """Rows that are found by reading the whole table, without the writer lock. They are then deleted by their ids."""

    drop: str

    def __init__(self, bound: int = 0) -> None:
        self._bound = bound
        self._ids: list[int] = []

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next rows, except those that were used meanwhile."""
        now, self._ids = self._ids[:most], self._ids[most:]
        if now:
            connection.execute(self.drop, (_json(now), self._bound))
        return bool(self._ids)


class ClosedCounters(ByIds):
    """Counters whose window ended before an instant, and before any remaining reservation.

    `short` is the instant for windows that are shorter than a day, `long` the earlier one for all others.
    """

    drop = DROP_COUNTERS

    def __init__(self, *, short: int, long: int) -> None:
        super().__init__(short)
        self._long = long

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the ids."""
        self._ids = [row[0] for row in connection.execute(CLOSED, (self._long, self._bound))]


class UnusedAnswerTexts(ByIds):
    """Texts that no answer uses: see `writer/answers.py`."""

    drop = DROP_TEXTS

    def look(self, connection: sqlite3.Connection) -> None:
        """Find them."""
        self._bound = connection.execute(FIRST_ANSWER).fetchone()[0] - NOTED_AGAIN
        self._ids = [row[0] for row in connection.execute(UNUSED, (self._bound,))]


class FreePages:
    """Unused pages. Those beyond a reserve are returned to the file system."""

    def __init__(self) -> None:
        self._most = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Find out how many to return: 0 if the file cannot return any (`flask governance compact` changes that)."""
        pages, free, mode = (_pragma(connection, name) for name in ("page_count", "freelist_count", "auto_vacuum"))
        kept = max(FREE_PAGES_KEPT, pages // FREE_SHARE_KEPT)
        self._most = max(0, free - kept) if mode == INCREMENTAL else 0

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Return some, in their own transaction: `execute` of the sqlite3 module would stop the pragma after a page."""
        now = min(most, MOST_PAGES, self._most)
        if now:
            connection.executescript(f"PRAGMA incremental_vacuum({now})")
        self._most -= now
        return self._most > 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _json(numbers: list[int]) -> str:
    return orjson.dumps(numbers).decode()
