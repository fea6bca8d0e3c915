"""The unit of work of metering: what waits together is decided in memory, and written together.

Prepared statements on a connection of its own, beside SQLAlchemy: half the time of its session, on the path that
every call to a model waits for. Each counter is read once a batch, moved in memory by every act, and written once.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from governance.domain.limits import Counter, Rule
from governance.domain.reservations import Reservation
from governance.domain.windows import Alignment, window
from governance.storage.tables import LARGEST_SUM

RESERVATION = ", ".join(Reservation._fields)
NEWEST = """
    SELECT id, window_start, window_end, used, reserved, folded, reset_at FROM counters
    WHERE rule_id = ? AND metric = ? AND generation = ? ORDER BY window_start DESC LIMIT 1"""
BY_ID = """
    SELECT id, window_start, window_end, used, reserved, folded, reset_at, metric FROM counters
    WHERE id = ?"""
ADD_COUNTER = """
    INSERT INTO counters (rule_id, metric, generation, window_start, window_end, touched_at)
    VALUES (?, ?, ?, ?, ?, ?)"""
WRITE_COUNTER = "UPDATE counters SET used = ?, reserved = ?, folded = ?, touched_at = ? WHERE id = ?"
ADD_RESERVATION = f"INSERT INTO reservations (seq, {RESERVATION}) VALUES (?{', ?' * len(Reservation._fields)})"  # noqa: S608
WRITE_RESERVATION = f"UPDATE reservations SET {' = ?, '.join(Reservation._fields)} = ? WHERE seq = ?"  # noqa: S608
GET_RESERVATION = f"SELECT seq, {RESERVATION} FROM reservations WHERE id = ? AND status <> 'reported'"  # noqa: S608
LAPSED = "SELECT id FROM reservations WHERE status = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?"
NOW = "SELECT revision, touched_at FROM config_revision"
TOUCH = "UPDATE config_revision SET touched_at = ?"
LAST_SEQ = "SELECT seq FROM sqlite_sequence WHERE name = 'reservations'"
ADD_ENTRY = "INSERT INTO ledger (seq, counter_id, held, used) VALUES (?, ?, ?, ?)"
WRITE_ENTRY = "UPDATE ledger SET held = ?, used = ? WHERE seq = ? AND counter_id = ?"
GET_ENTRIES = "SELECT counter_id, held, used FROM ledger WHERE seq = ?"
GET_ANSWER = """
    SELECT fingerprint, answer FROM idempotency
    WHERE api_key_id = ? AND path = ? AND key = ? AND created_at > ?"""
PUT_ANSWER = """
    INSERT OR REPLACE INTO idempotency (api_key_id, path, key, fingerprint, answer, created_at)
    VALUES (?, ?, ?, ?, ?, ?)"""

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
        self.revision, last_touch = self._execute(NOW).fetchone()
        self._touched_at = max(now, last_touch + 1)
        self._tallies: dict[int, Tally] = {}
        self._current: dict[tuple[str, str, int], Tally | None] = {}
        self._holds: dict[str, Hold] = {}
        self._answers: dict[IdempotencyKey, tuple[str, bytes]] = {}
        self._seq: int | None = None

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
        self._holds[reservation.id] = Hold(self._next_seq(), reservation, rows, new=True)

    def reservation(self, reservation_id: str) -> Hold | None:
        """The reservation with this id."""
        known = self._holds.get(reservation_id)
        if known is None:
            row = self._execute(GET_RESERVATION, (reservation_id,)).fetchone()
            if row is None:
                return None
            found = Reservation._make(row[1:])
            known = Hold(row[0], found._replace(late=bool(found.late)))
            known.entries = [Entry(*entry) for entry in self._execute(GET_ENTRIES, (known.seq,))]
            self._holds[reservation_id] = known
        return known

    def settle(self, hold: Hold, after: Reservation) -> None:
        """Move a reservation to its next state: its holds end, and each counter is charged what it now says it used.

        What a reset has forgiven is not taken back once more.
        """
        before = hold.reservation
        for entry in hold.entries:
            tally = entry.tally or self._load(entry.counter_id)
            more = 0
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
        holds = self._holds.values()
        self._executemany(ADD_RESERVATION, [(hold.seq, *hold.reservation) for hold in holds if hold.new])
        self._executemany(WRITE_RESERVATION, [(*hold.reservation, hold.seq) for hold in holds if _edited(hold)])
        self._executemany(ADD_ENTRY, _rows(hold for hold in holds if hold.new))
        self._executemany(
            WRITE_ENTRY, [(held, used, seq, counter) for seq, counter, held, used in _rows(filter(_edited, holds))]
        )
        moved = [tally for tally in self._tallies.values() if tally.moved]
        if moved:
            self._execute(TOUCH, (self._touched_at,))
        self._executemany(
            WRITE_COUNTER, [(tally.used, tally.reserved, tally.folded, self._touched_at, tally.id) for tally in moved]
        )
        self._executemany(PUT_ANSWER, [(*key, *kept, self.now) for key, kept in self._answers.items()])

    def _tally(self, rule: Rule) -> Tally | None:
        """The counter of a rule's newest window, where that has not ended."""
        key = (rule.id, rule.metric, rule.generation)
        if key not in self._current:
            row = self._execute(NEWEST, key).fetchone()
            self._current[key] = self._remember(row, rule.metric) if row is not None and row[2] > self.now else None
        return self._current[key]

    def _load(self, counter_id: int) -> Tally | None:
        known = self._tallies.get(counter_id)
        if known is not None:
            return known
        row = self._execute(BY_ID, (counter_id,)).fetchone()
        return None if row is None else self._remember(row[:-1], row[-1])

    def _remember(self, row: tuple[int, int, int, int, int, int, int], metric: str) -> Tally:
        counter_id, start, end, used, reserved, folded, reset_at = row
        tally = Tally(counter_id, metric, start, end, used, reserved, folded, reset_at)
        return self._tallies.setdefault(counter_id, tally)

    def _begin(self, rule: Rule, counter: Counter) -> Tally:
        key = (rule.id, rule.metric, rule.generation)
        made = self._execute(ADD_COUNTER, (*key, counter.start, counter.end, self._touched_at))
        tally = self._remember((int(made.lastrowid or 0), counter.start, counter.end, 0, 0, 0, 0), rule.metric)
        self._current[key] = tally
        return tally

    def _next_seq(self) -> int:
        if self._seq is None:
            row = self._execute(LAST_SEQ).fetchone()
            self._seq = row[0] if row else 0
        self._seq += 1
        return self._seq


def _forgiven(before: Reservation, tally: Tally) -> bool:
    """Whether what a reservation was charged for went with a reset of its counter."""
    return before.ended_at is not None and before.ended_at <= tally.reset_at


def _edited(hold: Hold) -> bool:
    return hold.changed and not hold.new


def _rows(holds: Iterable[Hold]) -> list[tuple[int, int, int, int]]:
    return [(hold.seq, entry.counter_id, entry.held, entry.used) for hold in holds for entry in hold.entries]
