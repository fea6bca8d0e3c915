"""Deletes old reservations, stored responses and counters, and returns unused pages to the file system.

This is called pruning. It runs in slices, which are short transactions (see `slices.py`). A counter contains the used
amount of one rule in one window of time. A ledger row contains the part of it that one reservation used. The
transaction that deletes a ledger row also adds its amount to the counter's `folded` sum. So always used = folded +
Σ used of the remaining ledger rows. An answer is the stored response to a call with an idempotency key.
"""

import sqlite3
from typing import Protocol

import orjson

from governance.domain.times import HOUR
from governance.storage.sqlite.writer.answers import NOTED_AGAIN

VAIN = 2000
"""The search in a table ends after this many consecutive rows that are too young to delete.

It does not end at the first such row, because rows may be out of order in time if the clock was set back.
"""
FREE_PAGES_KEPT = 1024
"""At least this number of unused pages may stay in the file. Using them for new rows takes less time than growing the
file again."""
FREE_SHARE_KEPT = 8
"""One in this many pages of the file may stay unused."""
MOST_PAGES = 256
"""The largest number of pages that one slice returns to the file system.

To return an unused page at the end of the file takes 8 µs. If the content of a page must first be moved, it takes up to
53 µs.
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
"""Windows of at least this length count as a day or longer. A day has only 23 hours or fewer if the clocks are set
forward."""
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
    """Prunes one kind of row, slice by slice."""

    def look(self, connection: sqlite3.Connection) -> None:
        """Find out what there is to prune. The caller does not hold the writer lock."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Check up to `most` rows, and delete the old ones in the caller's transaction.

        Return whether there may be more old rows.
        """


class OldestFirst:
    """Prunes a table, starting with its oldest row. Ends after `VAIN` consecutive rows that are too young."""

    oldest: str

    def __init__(self, before: int) -> None:
        self._before = before
        self._last = 0
        self._vain = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing, because `step` finds the oldest rows by their numbers."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Check the next rows, and delete the old ones. Return whether there may be more old rows."""
        rows = connection.execute(self.oldest, (self._before, self._last, most)).fetchall()
        gone = [seq for seq, is_old in rows if is_old]
        if gone:
            self.drop(connection, _json(gone))
        self._vain = 0 if gone else self._vain + len(rows)
        self._last = rows[-1][0] if rows else self._last
        return len(rows) == most and self._vain < VAIN

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Delete the rows whose numbers are in `seqs`, a JSON array."""
        raise NotImplementedError


class EndedReservations(OldestFirst):
    """Prunes reservations that ended before an instant, and their ledger rows."""

    oldest = OLDEST_RESERVATIONS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Delete the reservations and their ledger rows. Add the ledger rows to the `folded` sums of their counters."""
        for statement in (FOLD, PRUNED_UNTIL, DROP_LEDGER, DROP_RESERVATIONS):
            connection.execute(statement, (seqs,))


class OldAnswers(OldestFirst):
    """Prunes answers that were stored before an instant."""

    oldest = OLDEST_ANSWERS

    def drop(self, connection: sqlite3.Connection, seqs: str) -> None:
        """Delete the answers."""
        connection.execute(DROP_ANSWERS, (seqs,))


class AnswersBefore0007:
    """Prunes answers that versions before schema 0007 stored. They are in the table `idempotency`."""

    def __init__(self, before: int) -> None:
        self._before = before

    def look(self, connection: sqlite3.Connection) -> None:
        """Do nothing, because `step` finds the old answers through an index."""

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the oldest answers. Return whether there may be more old answers."""
        return connection.execute(DROP_OLD_ANSWERS, (self._before, most)).rowcount == most


class ByIds:
    """Prunes rows by their ids. `look` finds the ids by reading the whole table, without the writer lock."""

    drop: str

    def __init__(self, bound: int = 0) -> None:
        self._bound = bound
        self._ids: list[int] = []

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Delete the next rows. A row that was used in the meantime is kept. Return whether there are more rows."""
        now, self._ids = self._ids[:most], self._ids[most:]
        if now:
            connection.execute(self.drop, (_json(now), self._bound))
        return bool(self._ids)


class ClosedCounters(ByIds):
    """Prunes counters whose window ended before an instant, and before the oldest remaining reservation was created.

    `short` is the instant for windows shorter than a day. `long` is the instant for all other windows. It is earlier
    than `short`.
    """

    drop = DROP_COUNTERS

    def __init__(self, *, short: int, long: int) -> None:
        super().__init__(short)
        self._long = long

    def look(self, connection: sqlite3.Connection) -> None:
        """Find the ids of the counters."""
        self._ids = [row[0] for row in connection.execute(CLOSED, (self._long, self._bound))]


class UnusedAnswerTexts(ByIds):
    """Prunes texts that no answer uses any more. Many answers can share a text (see `writer/answers.py`)."""

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

        The number is 0 if the file cannot return pages. The command `flask governance compact` makes the file able to
        return pages.
        """
        pages, free, mode = (_pragma(connection, name) for name in ("page_count", "freelist_count", "auto_vacuum"))
        kept = max(FREE_PAGES_KEPT, pages // FREE_SHARE_KEPT)
        self._most = max(0, free - kept) if mode == INCREMENTAL else 0

    def step(self, connection: sqlite3.Connection, most: int) -> bool:
        """Return some pages to the file system. Return whether there are more to return.

        `executescript` commits the caller's transaction first, so the pages are returned in another transaction. It is
        used because `execute` would stop the pragma after one page.
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
