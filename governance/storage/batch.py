"""The unit of work of metering: what waits together is decided in memory, and written together.

Prepared statements on a connection of its own, beside SQLAlchemy: half the time of its session, on the path that
every call to a model waits for. Each counter is read once a batch, moved in memory by every act, and written once.
Statements are few and fetch much: each of them gives the interpreter lock away, and has to win it back.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import orjson

from governance.domain.limits import Counter, Rule
from governance.domain.reservations import Reservation
from governance.domain.windows import Alignment, window
from governance.storage.tables import LARGEST_SUM

RESERVATION = ", ".join(Reservation._fields)
TALLY = "c.id, c.metric, c.window_start, c.window_end, c.used, c.reserved, c.folded, c.reset_at"
NEWEST = f"""
    SELECT c.rule_id, c.metric, c.generation, {TALLY} FROM counters c WHERE c.id IN (
        SELECT (SELECT o.id FROM counters o WHERE o.rule_id = column1 AND o.metric = column2 AND o.generation = column3
                ORDER BY o.window_start DESC LIMIT 1)
        FROM (VALUES {{}}))"""  # noqa: S608
ADD_COUNTER = """
    INSERT INTO counters (rule_id, metric, generation, window_start, window_end, touched_at)
    VALUES (?, ?, ?, ?, ?, ?)"""
WRITE_COUNTER = "UPDATE counters SET used = ?, reserved = ?, folded = ?, touched_at = ? WHERE id = ?"
ADD_RESERVATION = f"INSERT INTO reservations (seq, {RESERVATION}) VALUES (?{', ?' * len(Reservation._fields)})"  # noqa: S608
WRITE_RESERVATION = f"UPDATE reservations SET {' = ?, '.join(Reservation._fields)} = ? WHERE seq = ?"  # noqa: S608
GET_RESERVATION = f"SELECT seq, {RESERVATION} FROM reservations WHERE id = ? AND status <> 'reported'"  # noqa: S608
LAPSED = "SELECT id FROM reservations WHERE status = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?"
NOW = """
    SELECT revision, touched_at, (SELECT seq FROM sqlite_sequence WHERE name = 'reservations')
    FROM config_revision"""
TOUCH = "UPDATE config_revision SET touched_at = ?"
WRITE_ENTRIES = """
    INSERT OR REPLACE INTO ledger (seq, counter_id, held, used)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]')
    FROM json_each(?)"""
"""All of them in one step: `executemany` takes one for each row, and gives the interpreter lock away in each."""
GET_ENTRIES = f"""
    SELECT l.counter_id, l.held, l.used, {TALLY} FROM ledger l LEFT JOIN counters c ON c.id = l.counter_id
    WHERE l.seq = ?"""  # noqa: S608
GET_ANSWER = """
    SELECT fingerprint, answer FROM idempotency
    WHERE api_key_id = ? AND path = ? AND key = ? AND created_at > ?"""
PUT_ANSWER = """
    INSERT OR REPLACE INTO idempotency (api_key_id, path, key, fingerprint, answer, created_at)
    VALUES (?, ?, ?, ?, ?, ?)"""

RuleKey = tuple[str, str, int]
"""(rule's id, metric, generation)."""
IdempotencyKey = tuple[str, str, str]
"""(API key's id, path, the caller's key)."""


@dataclass(slots=True)
class Tally:
    """A counter under way: what it will be when the batch is written."""

    id: int
    metric: str
    start: int
    end: int
    used: int
    reserved: int
    folded: int
    reset_at: int = 0
    moved: bool = False

    @property
    def counter(self) -> Counter:
        """The counter as a value."""
        return Counter(self.start, self.end, self.used, self.reserved)

    def move(self, held: int, used: int) -> None:
        """Add to what is reserved and used; beyond what a counter can hold, `folded` keeps the difference."""
        self.reserved += held
        most = LARGEST_SUM - self.reserved
        bounded = min(max(0, self.used + used), most)
        self.folded += bounded - self.used - used
        self.used = bounded
        self.moved = True


@dataclass(slots=True)
class Entry:
    """A ledger row under way: what one reservation holds and used of one counter; `tally` is None where it is gone."""

    counter_id: int
    held: int
    used: int
    tally: Tally | None = None


@dataclass(slots=True)
class Hold:
    """A reservation under way, with its ledger rows."""

    seq: int
    reservation: Reservation
    entries: list[Entry] = field(default_factory=list)
    new: bool = False
    changed: bool = False


class Batch:
    """One transaction of metering, in which acts are done one after another; `now` is the same for all of them."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self.now = now
        self._execute = connection.execute
        self._executemany = connection.executemany
        self.revision, last_touch, last_seq = self._execute(NOW).fetchone()
        self._touched_at = max(now, last_touch + 1)
        self._tallies: dict[int, Tally] = {}
        self._current: dict[RuleKey, Tally | None] = {}
        self._holds: dict[str, Hold] = {}
        self._answers: dict[IdempotencyKey, tuple[str, bytes]] = {}
        self._seq: int = last_seq or 0

    def look_up(self, rules: Iterable[Rule]) -> None:
        """Read what counts now for these rules, all together, where that is not known yet."""
        unknown = [key for key in map(_key, rules) if key not in self._current]
        if not unknown:
            return
        self._current |= dict.fromkeys(unknown)
        newest = NEWEST.format(", ".join(["(?, ?, ?)"] * len(unknown)))
        for rule_id, metric, generation, *row in self._execute(newest, [*chain.from_iterable(unknown)]):
            tally = self._remember(*row)
            if tally.end > self.now:
                self._current[rule_id, metric, generation] = tally

    def counter(self, rule: Rule, alignment: Alignment) -> Counter:
        """The window of a rule that counts now, with what is in it."""
        tally = self._tally(rule)
        if tally is not None:
            return tally.counter
        return Counter(*window(rule.duration, alignment, rule.anchor, self.now), 0, 0)

    def add(self, reservation: Reservation, entries: Iterable[tuple[Rule, Counter, int, int]]) -> None:
        """Store a new reservation that holds and used (rule, its current window, held, used) of each rule."""
        rows = []
        for rule, counter, held, used in entries:
            tally = self._tally(rule) or self._begin(rule, counter)
            tally.move(held, used)
            rows.append(Entry(tally.id, held, used, tally))
        self._seq += 1
        self._holds[reservation.id] = Hold(self._seq, reservation, rows, new=True)

    def reservation(self, reservation_id: str) -> Hold | None:
        """The reservation with this id."""
        known = self._holds.get(reservation_id)
        if known is None:
            row = self._execute(GET_RESERVATION, (reservation_id,)).fetchone()
            if row is None:
                return None
            found = Reservation._make(row[1:])
            known = Hold(row[0], found._replace(late=bool(found.late)))
            known.entries = [
                Entry(counter_id, held, used, None if counter[0] is None else self._remember(*counter))
                for counter_id, held, used, *counter in self._execute(GET_ENTRIES, (known.seq,))
            ]
            self._holds[reservation_id] = known
        return known

    def settle(self, hold: Hold, after: Reservation) -> None:
        """Move a reservation to its next state: its holds end, and each counter is charged what it now says it used.

        What a reset has forgiven is not taken back once more.
        """
        before = hold.reservation
        for entry in hold.entries:
            tally, more = entry.tally, 0
            if tally is not None:
                more = after.used.of(tally.metric) - before.used.of(tally.metric)
                more = max(0, more) if _forgiven(before, tally) else more
                tally.move(-entry.held, more)
            entry.held, entry.used = 0, entry.used + more
        hold.reservation, hold.changed = after._replace(ended_at=self._touched_at), True

    def extend(self, hold: Hold, after: Reservation) -> None:
        """Note a reservation's later end; its holds stay."""
        hold.reservation, hold.changed = after, True

    def lapsed(self, most: int) -> list[str]:
        """Open reservations whose time is over."""
        return [row[0] for row in self._execute(LAPSED, (self.now, most))]

    def answer(self, key: IdempotencyKey, since: int) -> tuple[str, bytes] | None:
        """The fingerprint and the answer that were kept under a key since an instant."""
        return self._answers.get(key) or self._execute(GET_ANSWER, (*key, since)).fetchone()

    def keep(self, key: IdempotencyKey, fingerprint: str, answer: bytes) -> None:
        """Keep the answer to an effect."""
        self._answers[key] = (fingerprint, answer)

    def flush(self) -> None:
        """Write everything down, each row once."""
        new = [hold for hold in self._holds.values() if hold.new]
        edited = [hold for hold in self._holds.values() if hold.changed and not hold.new]
        moved = [tally for tally in self._tallies.values() if tally.moved]
        at = self._touched_at
        self._write(ADD_RESERVATION, [(hold.seq, *hold.reservation) for hold in new])
        self._write(WRITE_RESERVATION, [(*hold.reservation, hold.seq) for hold in edited])
        self._write(WRITE_ENTRIES, [(orjson.dumps(_rows(new + edited)).decode(),)] if new or edited else [])
        self._write(TOUCH, [(at,)] if moved else [])
        self._write(WRITE_COUNTER, [(tally.used, tally.reserved, tally.folded, at, tally.id) for tally in moved])
        self._write(PUT_ANSWER, [(*key, *kept, self.now) for key, kept in self._answers.items()])

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._executemany(statement, rows)

    def _tally(self, rule: Rule) -> Tally | None:
        """The counter of a rule's newest window, where that has not ended."""
        key = _key(rule)
        if key not in self._current:
            self.look_up((rule,))
        return self._current[key]

    def _remember(self, counter_id: int, *rest: Any) -> Tally:
        return self._tallies.setdefault(counter_id, Tally(counter_id, *rest))

    def _begin(self, rule: Rule, counter: Counter) -> Tally:
        key = _key(rule)
        made = self._execute(ADD_COUNTER, (*key, counter.start, counter.end, self._touched_at))
        tally = self._remember(int(made.lastrowid or 0), rule.metric, counter.start, counter.end, 0, 0, 0)
        self._current[key] = tally
        return tally


def _key(rule: Rule) -> RuleKey:
    return rule.id, rule.metric, rule.generation


def _forgiven(before: Reservation, tally: Tally) -> bool:
    """Whether what a reservation was charged for went with a reset of its counter."""
    return before.ended_at is not None and before.ended_at <= tally.reset_at


def _rows(holds: Iterable[Hold]) -> list[tuple[int, int, int, int]]:
    return [(hold.seq, entry.counter_id, entry.held, entry.used) for hold in holds for entry in hold.entries]
