"""Deletes old rows in slices.

Every counter stays equal to its ledger: in the transaction that deletes a ledger row, its amount is added to the
counter's `folded` sum. So used = folded + Σ used of the remaining rows.
"""

import sqlite3
from typing import Protocol

import orjson

from governance.domain.times import HOUR
from governance.storage.sqlite.writer.answers import NOTED_AGAIN

VAIN = 2000
"""The search in a table ends after this many consecutive rows that are too young.

They may be out of order if the clock was set back.
"""
FREE_PAGES_KEPT = 1024
"""The number of free pages that stay in the file. Using them for new rows costs less than growing the file again."""
FREE_SHARE_KEPT = 8
"""One in this many pages may stay free."""
MOST_PAGES = 256
"""The largest number of pages that one slice returns.

A free page takes 8 µs. A page whose content must first be moved takes up to 53 µs.
"""
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
"""Windows of at least this length count as days. A day on which the clock changes has 23 hours or fewer."""
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
    """Prunes one kind of rows, slice by slice."""

    def look(self, connection: sqlite3.Connection) -> None:
        """Find out what there is to prune, without the writer lock."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Check up to `most` rows, and delete the old ones in the caller's transaction.

        Return whether there may be more.
        """


class OldestFirst:
    """Searches a table, starting with its oldest row. Ends after `VAIN` consecutive rows that are too young."""

    oldest: str

    def __init__(self, before: int) -> None:
        self._before = before
        self._last = 0
        self._vain = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing, because the oldest rows are found by their numbers."""

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
        """Delete rows. Their numbers are given as a JSON array."""
        raise NotImplementedError


class EndedReservations(OldestFirst):
    """Prunes reservations that ended before an instant, and their ledger rows."""

    oldest = OLDEST_RESERVATIONS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Add the ledger rows to their counters' `folded` sums, and delete the reservations."""
        for statement in (FOLD, PRUNED_UNTIL, DROP_LEDGER, DROP_RESERVATIONS):
            connection.execute(statement, (seqs,))


class OldAnswers(OldestFirst):
    """Prunes answers that were stored before an instant."""

    oldest = OLDEST_ANSWERS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Delete the answers."""
        connection.execute(DROP_ANSWERS, (seqs,))


class AnswersBefore0007:
    """Prunes answers that versions before schema 0007 stored."""

    def __init__(self, before: int) -> None:
        self._before = before

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing, because the old answers are found through an index."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the oldest answers."""
        return connection.execute(DROP_OLD_ANSWERS, (self._before, most)).rowcount == most


class ByIds:
    """Prunes rows that are found by reading the whole table, without the writer lock. They are then deleted by id."""

    drop: str

    def __init__(self, bound: int = 0) -> None:
        self._bound = bound
        self._ids: list[int] = []

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next rows, except those that were used in the meantime."""
        now, self._ids = self._ids[:most], self._ids[most:]
        if now:
            connection.execute(self.drop, (_json(now), self._bound))
        return bool(self._ids)


class ClosedCounters(ByIds):
    """Prunes counters whose window ended before an instant, and before any remaining reservation.

    `short` is the instant for windows shorter than a day. `long` is the earlier instant for all other windows.
    """

    drop = DROP_COUNTERS

    def __init__(self, *, short: int, long: int) -> None:
        super().__init__(short)
        self._long = long

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the ids of the counters."""
        self._ids = [row[0] for row in connection.execute(CLOSED, (self._long, self._bound))]


class UnusedAnswerTexts(ByIds):
    """Prunes texts that no answer uses (see `writer/answers.py`)."""

    drop = DROP_TEXTS

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the ids of the texts."""
        self._bound = connection.execute(FIRST_ANSWER).fetchone()[0] - NOTED_AGAIN
        self._ids = [row[0] for row in connection.execute(UNUSED, (self._bound,))]


class FreePages:
    """Returns unused pages to the file system, except for a reserve."""

    def __init__(self) -> None:
        self._most = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Find out how many pages to return.

        This is 0 if the file cannot return pages (`flask governance compact` changes that).
        """
        pages, free, mode = (_pragma(connection, name) for name in ("page_count", "freelist_count", "auto_vacuum"))
        kept = max(FREE_PAGES_KEPT, pages // FREE_SHARE_KEPT)
        self._most = max(0, free - kept) if mode == INCREMENTAL else 0

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Return some pages in a transaction of their own.

        The `execute` method of sqlite3 would stop the pragma after one page.
        """
        now = min(most, MOST_PAGES, self._most)
        if now:
            connection.executescript(f"PRAGMA incremental_vacuum({now})")
        self._most -= now
        return self._most > 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _json(numbers: list[int]) -> str:
    return orjson.dumps(numbers).decode()
