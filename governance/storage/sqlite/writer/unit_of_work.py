"""The unit of work of metering: it runs the acts of a batch in memory, and then writes all their changes together.

An act is a function that decides or charges one call to a model. The acts of a batch share one transaction. A counter
contains the used and reserved amounts of one rule in one window of time. A ledger row contains the amounts of one
reservation on one counter.

The unit of work uses prepared statements on the writer thread's own connection, without SQLAlchemy. They take half the
time of an SQLAlchemy session, and every call to a model waits for them. Each counter is read once per batch, changed in
memory by the acts, and written once. Each statement releases Python's global interpreter lock and must get it back. So
there are few statements, each with many rows. This file is long because it is one transaction, with all its statements.
"""

import sqlite3
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import chain
from operator import sub

import orjson

from governance.domain.history.usage import Series, UsageAmounts, charged, series_of
from governance.domain.limits.windows import window
from governance.domain.metering.decision import MatchedRule
from governance.domain.metering.reservation import Amounts, Reservation
from governance.storage.metering.pending import CounterKey, PendingCounter, PendingEntry, PendingReservation
from governance.storage.sqlite.writer import answers
from governance.storage.sqlite.writer.answers import AnswerStore, StoredAnswer
from governance.storage.sqlite.writer.caches import ConnectionCaches
from governance.storage.sqlite.writer.history import PendingHistory
from governance.storage.store import IdempotencyKey

RESERVATION = ", ".join(Reservation._fields)
COUNTER = """
    c.id, c.rule_id, c.metric, c.generation, c.window_start, c.window_end, c.used, c.reserved, c.folded, c.reset_at"""
NEWEST = f"""
    SELECT json_group_array(json_array({COUNTER})) FROM counters c WHERE c.id IN (
        SELECT (SELECT o.id FROM counters o WHERE o.rule_id = column1 AND o.metric = column2 AND o.generation = column3
                ORDER BY o.window_start DESC LIMIT 1)
        FROM (VALUES {{}}))"""  # noqa: S608
ADD_COUNTER = """
    INSERT INTO counters (rule_id, metric, generation, window_start, window_end, touched_at, max_limit)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
WRITE_COUNTERS = """
    UPDATE counters SET used = column2, reserved = column3, folded = column4, touched_at = column5
    FROM (VALUES {}) WHERE id = column1"""
STRETCH = "UPDATE counters SET window_end = ? WHERE id = ?"
ADD_RESERVATIONS = f"INSERT INTO reservations (seq, {RESERVATION}) VALUES {{}}"  # noqa: S608
WRITE_RESERVATION = f"UPDATE reservations SET {' = ?, '.join(Reservation._fields)} = ? WHERE seq = ?"  # noqa: S608
GET_RESERVATION = f"SELECT seq, {RESERVATION} FROM reservations WHERE id = ? AND status <> 'reported'"  # noqa: S608
LAPSED = "SELECT id FROM reservations WHERE status = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?"
NOW = """
    SELECT revision, touched_at, (SELECT seq FROM sqlite_sequence WHERE name = 'reservations')
    FROM config_revision"""
TOUCH = "UPDATE config_revision SET touched_at = ?"
WRITE_ENTRIES = "INSERT OR REPLACE INTO ledger (seq, counter_id, held, used) VALUES {}"
GET_ENTRIES = f"""
    SELECT l.counter_id, l.held, l.used, {COUNTER} FROM ledger l LEFT JOIN counters c ON c.id = l.counter_id
    WHERE l.seq = ?"""  # noqa: S608

MOST_ROWS = 256
"""The largest number of rows in one statement. SQLite allows 32,766 values."""
Row = tuple[object, ...]


class SqliteUnitOfWork:
    """One transaction of metering, which runs the acts of one batch one after another.

    `now` is the same for all acts.
    """

    def __init__(self, connection: sqlite3.Connection, now: int, caches: ConnectionCaches) -> None:
        self.now = now
        self._execute = connection.execute
        self._executemany = connection.executemany
        self.revision, last_touch, last_seq = self._execute(NOW).fetchone()
        self._touched_at = max(now, last_touch + 1)
        self._counters: dict[int, PendingCounter] = {}
        self._current: dict[CounterKey, PendingCounter] = {}
        self._new: list[Row] = []
        self._entries: list[Row] = []
        self._reservations: dict[str, PendingReservation] = {}
        self._kept: dict[IdempotencyKey, StoredAnswer] = {}
        self._connection = connection
        self._caches = caches
        self._history = PendingHistory(connection, caches.series, caches.history, now)
        self._seq: int = last_seq or 0
        self._touches = False

    @cached_property
    def _answers(self) -> AnswerStore:
        """The stored responses. To save time, this object is created at its first use. Most batches do not use it."""
        return AnswerStore(self._connection, self._caches.answer_texts)

    def counters(self, rules: Sequence[MatchedRule]) -> list[PendingCounter]:
        """Return the counter of each rule in its current window.

        Counters that are not in memory are read with one statement.
        """
        known = self._current
        unknown = [each for each in rules if each.key not in known]
        if unknown:
            self._look_up(unknown)
        return [known[each.key] for each in rules]

    def add(self, reservation: Reservation, entries: Sequence[tuple[PendingCounter, int, int]]) -> None:
        """Store a new reservation with one entry for each rule: (counter, reserved amount, used amount).

        No caller knows the id of the new reservation before the batch has ended. So no other act of this batch can
        refer to the reservation. Raises InvalidRequest, and changes nothing, if a sum would become too large.
        """
        for counter, held, used in entries:
            counter.refuse_beyond(held, used)
        self._seq += 1
        self._new.append((self._seq, *reservation))
        for counter, held, used in entries:
            if counter.id is None:
                self._begin(counter)
            counter.move(held, used)
            self._entries.append((self._seq, counter.id, held, used))
        self._history.add(reservation.created_at, series_of(reservation), charged(reservation))

    def add_usage(self, admitted_at: int, series: Series, more: UsageAmounts) -> None:
        """Add usage to the usage history, in the bucket that contains an instant."""
        self._history.add(admitted_at, series, more)

    def reservation(self, reservation_id: str) -> PendingReservation | None:
        """Return the reservation with this id.

        Return None if there is none, or if the row is usage that was reported without a reservation.
        """
        known = self._reservations.get(reservation_id)
        if known is None:
            stored = self._execute(GET_RESERVATION, (reservation_id,)).fetchone()
            if stored is None:
                return None
            found = Reservation._make(stored[1:])
            known = PendingReservation(stored[0], found._replace(late=bool(found.late)))
            for counter_id, held, used, *row in self._execute(GET_ENTRIES, (known.seq,)):
                counter = None if row[0] is None else self._counters.setdefault(row[0], PendingCounter(*row))
                known.entries.append(PendingEntry(counter_id, held, used, counter))
            self._reservations[reservation_id] = known
        return known

    def settle(self, pending: PendingReservation, after: Reservation) -> None:
        """Change a reservation to its next state, `after`.

        The reserved amounts are released. The change of the used amounts is added to each counter. Usage that a reset
        has already removed is not subtracted again. Raises InvalidRequest, and changes nothing, if a sum would become
        too large.
        """
        before = pending.reservation
        more_used = charged(after).minus(charged(before))
        change = Amounts._make(map(sub, after.used, before.used))
        charges = [_charge(change, before.ended_at, entry.counter) for entry in pending.entries]
        for entry, more in zip(pending.entries, charges, strict=True):
            if entry.counter is not None:
                entry.counter.refuse_beyond(-entry.held, more)
        for entry, more in zip(pending.entries, charges, strict=True):
            if entry.counter is not None:
                entry.counter.move(-entry.held, more)
            entry.held, entry.used = 0, entry.used + more
        self._history.add(before.created_at, series_of(before), more_used)
        pending.reservation, pending.changed = after._replace(ended_at=self._touched_at), True

    def extend(self, pending: PendingReservation, after: Reservation) -> None:
        """Store a later `expires_at` of a reservation. Its reserved amounts stay."""
        pending.reservation, pending.changed = after, True

    def lapsed(self, most: int, now: int) -> list[str]:
        """Return the ids of up to `most` open reservations whose `expires_at` is at or before `now`."""
        return [row[0] for row in self._execute(LAPSED, (now, most))]

    def answer(self, key: IdempotencyKey, since: int) -> tuple[bytes, bytes] | None:
        """Return the fingerprint and the response for a key. Return None if none was stored after `since`."""
        kept = self._kept.get(key)
        return self._answers.get(key, since) if kept is None else (kept.fingerprint, kept.body)

    def keep(self, key: IdempotencyKey, fingerprint: bytes, body: bytes, texts: tuple[str, ...]) -> None:
        """Store the response to the call that added the last reservation.

        `texts` are the parts of the response that other responses contain too.
        """
        self._kept[key] = StoredAnswer(self._seq, fingerprint, body, texts)

    def touch(self) -> None:
        """Write the time of this batch, even if no counter changes."""
        self._touches = True

    def flush(self) -> None:
        """Write all changes to the database. Each changed row is written once."""
        edited = [pending for pending in self._reservations.values() if pending.changed]
        moved = [counter for counter in self._counters.values() if counter.moved]
        at = self._touched_at
        self._write(ADD_RESERVATIONS, self._new)
        if edited:
            self._executemany(WRITE_RESERVATION, [(*pending.reservation, pending.seq) for pending in edited])
        self._entries += [(pending.seq, e.counter_id, e.held, e.used) for pending in edited for e in pending.entries]
        self._write(WRITE_ENTRIES, self._entries)
        if moved or self._touches:
            self._execute(TOUCH, (at,))
        self._write(WRITE_COUNTERS, [(each.id, each.used, each.reserved, each.folded, at) for each in moved])
        stretched = [(counter.end, counter.id) for counter in moved if counter.stretched]
        if stretched:
            self._executemany(STRETCH, stretched)
        self._history.flush()
        if self._kept:
            self._write(answers.PUT, self._answers.rows(self._kept, self.now))
            self._answers.done()
        self._history.done()

    def _write(self, statement: str, rows: Sequence[Row]) -> None:
        """Write rows with as few statements as possible.

        The number of rows in a statement is rounded down to one of 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on. So there are
        few different statements to prepare.
        """
        done = 0
        while done < len(rows):
            size = min(len(rows) - done, MOST_ROWS)
            size &= 3 << max(0, size.bit_length() - 2)
            together = rows[done : done + size]
            self._executemany(_of_rows(statement, len(together[0]), size), [[*chain.from_iterable(together)]])
            done += size

    def _look_up(self, unknown: Sequence[MatchedRule]) -> None:
        keys = [each.key for each in unknown]
        newest = _of_rows(NEWEST, len(keys[0]), len(keys))
        found = self._execute(newest, [*chain.from_iterable(keys)]).fetchone()[0]
        for row in orjson.loads(found):
            counter_id, rule_id, metric, generation, *_ = row
            self._current[rule_id, metric, generation] = self._counters.setdefault(counter_id, PendingCounter(*row))
        for applied in unknown:
            last = self._current.get(applied.key)
            if last is None or last.end <= self.now:
                self._current[applied.key] = self._following(applied, last)

    def _following(self, applied: MatchedRule, newest: PendingCounter | None) -> PendingCounter:
        """Return the counter of the current window. `newest` is the counter of the last window, which has ended.

        `newest` is None if the rule has no counter yet. If a time zone has got new rules, for example for summer time,
        the current window may start at or before the start of `newest`. Then `newest` is extended to the end of the
        current window.
        """
        start, end = window(applied.rule.duration, applied.limit.alignment, applied.rule.anchor, self.now)
        if newest is None or newest.start < start:
            return PendingCounter(None, *applied.key, start, end, 0, 0, 0, max_limit=applied.rule.max_limit)
        newest.stretch(end)
        return newest

    def _begin(self, counter: PendingCounter) -> None:
        """Insert the counter of a window that has no counter yet."""
        row = (*counter.key, counter.start, counter.end, self._touched_at, counter.max_limit)
        made = self._execute(ADD_COUNTER, row)
        counter.id = int(made.lastrowid or 0)
        self._counters[counter.id] = counter


@lru_cache(maxsize=1024)
def _of_rows(statement: str, width: int, rows: int) -> str:
    """Return a statement with placeholders for this many rows of values."""
    return statement.format(", ".join([f"(?{', ?' * (width - 1)})"] * rows))


def _charge(change: Amounts, ended_at: int | None, counter: PendingCounter | None) -> int:
    """Return the amount to add to the used amount of a counter when a reservation changes its state.

    The amount is negative if the reservation now uses less. `ended_at` is the instant at which the reservation was last
    charged. Usage that a reset of the counter has removed since then is not subtracted again.
    """
    if counter is None:
        return 0
    amount = change.of(counter.metric)
    was_reset = ended_at is not None and ended_at <= counter.reset_at
    return max(0, amount) if was_reset else amount
