"""Creates, moves and resets counters. A counter contains the usage of one rule of a limit in one time window.

For each reservation, the ledger has one row for each counter that the reservation changes. `folded` is the part of a
counter's usage that is in no ledger row. If an edit changes the windows of a rule, it raises the rule's generation, a
number. Each counter belongs to one generation. A counter is open until its window ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, delete, insert, select, update
from sqlalchemy.engine import Connection, Row

from governance.domain.limits.limit import Limit, Opening, Rule
from governance.domain.limits.windows import Alignment, window
from governance.domain.times import DAY
from governance.storage.tables import LARGEST_SUM, config_revision, counters, ledger, rules

Newest = Row[int, int, int, int, int, int]
SLICE = 2000


def touch(connection: Connection, now: int) -> int:
    """Store and return the time stamp `touched_at` for a write to counters.

    It is later than every earlier `touched_at`, even if the clock was set back. Only one writer runs at a time. So if a
    reader has read all counters up to some `touched_at`, every later write has a greater one, and the reader misses
    nothing when it continues from there.
    """
    last = config_revision.c.touched_at
    raised = update(config_revision).values(touched_at=case((last >= now, last + 1), else_=now))
    return int(connection.execute(raised.returning(last)).scalar_one())


def open_all(connection: Connection, openings: Sequence[Opening], now: int) -> None:
    """Create the counters of new rules, with the usage that an import has read from another service.

    This usage is in no ledger row, so it is also the value of `folded`.
    """
    if not openings:
        return
    touched_at = touch(connection, now)
    rows = [
        {
            "rule_id": rule.id,
            "metric": rule.metric,
            "generation": rule.generation,
            "window_start": start,
            "window_end": end,
            "used": used,
            "folded": used,
            "touched_at": touched_at,
            "max_limit": rule.max_limit,
        }
        for rule, start, end, used in openings
    ]
    connection.execute(insert(counters), rows)


class Move(NamedTuple):
    """A rule that gets new windows or a new id: the rule before and after the edit, and the limit's alignment."""

    before: Rule
    after: Rule
    alignment: Alignment


def move_all(connection: Connection, moves: Sequence[Move], now: int) -> None:
    """Give counters the new ids of their rules, and move the open counters to the new windows of their rules."""
    renamed = [move for move in moves if move.before.id != move.after.id]
    if renamed:
        _rename(connection, renamed, touch(connection, now))
    regenerate_all(
        connection,
        [
            move._replace(before=move.before._replace(id=move.after.id))
            for move in moves
            if move.before.generation != move.after.generation
        ],
        now,
    )


def _rename(connection: Connection, moves: Sequence[Move], touched_at: int) -> None:
    """Give all counters of these rules the new ids of the rules.

    This includes the counters of closed windows, because a reservation that is still open may be settled on them.
    """
    own = counters.c.rule_id == bindparam("its_id"), counters.c.metric == bindparam("its_metric")
    connection.execute(
        update(counters).where(*own).values(rule_id=bindparam("new_id"), touched_at=touched_at),
        [{"its_id": before.id, "its_metric": before.metric, "new_id": after.id} for before, after, _ in moves],
    )


def regenerate_all(connection: Connection, moves: Sequence[Move], now: int) -> None:
    """Move open counters to the windows that their rules have after the edit."""
    for begin in range(0, len(moves), SLICE):
        some = moves[begin : begin + SLICE]
        found = _open(connection, [move.before.id for move in some], now)
        moved = [(found[own], move) for move in some if (own := (*move.before.key, move.before.generation)) in found]
        if moved:
            touched_at = touch(connection, now)
            connection.execute(
                update(counters).where(counters.c.id == bindparam("its_id")),
                [{"its_id": counter_id, **_moved(move, now, touched_at)} for counter_id, move in moved],
            )


def _open(connection: Connection, rule_ids: list[str], now: int) -> dict[tuple[str, str, int], int]:
    """Return the ids of the open counters of these rules, by rule id, metric and generation.

    If a rule has several open counters of one generation, only the newest is returned.
    """
    own = counters.c.rule_id, counters.c.metric, counters.c.generation
    rows = connection.execute(
        select(*own, counters.c.id)
        .where(counters.c.rule_id.in_(rule_ids), counters.c.window_end > now)
        .order_by(counters.c.window_start)
    )
    return {(rule_id, metric, generation): counter_id for rule_id, metric, generation, counter_id in rows}


def _moved(move: Move, now: int, touched_at: int) -> dict[str, int]:
    _, rule, alignment = move
    start, end = window(rule.duration, alignment, rule.anchor, now)
    return {
        "generation": rule.generation,
        "window_start": start,
        "window_end": end,
        "touched_at": touched_at,
        "max_limit": rule.max_limit,
    }


def note_maxima(connection: Connection, changed: Sequence[Rule], now: int) -> None:
    """Store the new maximums of rules in the counters of their open windows.

    The counter of a closed window keeps the maximum that applied at the end of the window.
    """
    own = (
        counters.c.rule_id == bindparam("its_id"),
        counters.c.metric == bindparam("its_metric"),
        counters.c.window_end > now,
    )
    rows = [{"its_id": rule.id, "its_metric": rule.metric, "its_maximum": rule.max_limit} for rule in changed]
    if rows:
        connection.execute(update(counters).where(*own).values(max_limit=bindparam("its_maximum")), rows)


def reset(connection: Connection, limit: Limit, now: int) -> None:
    """Set the usage in the current windows of a limit to 0. Reserved amounts stay.

    The removed usage is also subtracted from `folded`, so the counter's usage still equals `folded` plus the sum of its
    ledger rows. If a counter starts more than a day after `now`, it is moved to the window that contains `now`.
    """
    for rule in limit.rules:
        row = _newest(connection, rule)
        while row is not None and row.window_start > now + DAY:
            _zero(connection, row, now)
            _bring_back(connection, row, rule, limit.alignment, now)
            row = _newest(connection, rule)
        if row is not None and row.window_end > now:
            _zero(connection, row, now)


def furthest_ahead(connection: Connection, now: int) -> Row[str, int] | None:
    """Return the counter whose window starts the latest.

    Return None if no window starts more than a day after `now`.
    """
    ahead = (
        select(counters.c.rule_id, counters.c.window_start)
        .select_from(counters.join(rules))
        .where(counters.c.generation == rules.c.generation, counters.c.window_start > now + DAY)
    )
    return connection.execute(ahead.order_by(counters.c.window_start.desc()).limit(1)).one_or_none()


def _newest(connection: Connection, rule: Rule) -> Newest | None:
    own = (
        select(
            counters.c.id,
            counters.c.window_start,
            counters.c.window_end,
            counters.c.used,
            counters.c.reserved,
            counters.c.folded,
        )
        .where(
            counters.c.rule_id == rule.id,
            counters.c.metric == rule.metric,
            counters.c.generation == rule.generation,
        )
        .order_by(counters.c.window_start.desc())
        .limit(1)
    )
    return connection.execute(own).one_or_none()


def _move(connection: Connection, counter_id: int, rule: Rule, alignment: Alignment, now: int) -> None:
    moved = _moved(Move(rule, rule, alignment), now, touch(connection, now))
    connection.execute(update(counters).where(counters.c.id == counter_id).values(moved))


def _zero(connection: Connection, row: Newest, now: int) -> None:
    """Set the usage of a counter to 0.

    If the sum of the counter's ledger rows is large, set the usage in these rows to 0 too, so that the sum cannot
    become too large.
    """
    touched_at = touch(connection, now)
    folded = row.folded - row.used
    if folded < -LARGEST_SUM // 2:
        connection.execute(update(ledger).where(ledger.c.counter_id == row.id).values(used=0))
        folded = 0
    zeroed = update(counters).where(counters.c.id == row.id)
    connection.execute(zeroed.values(used=0, folded=folded, reset_at=touched_at, touched_at=touched_at))


def _bring_back(connection: Connection, row: Newest, rule: Rule, alignment: Alignment, now: int) -> None:
    """Move a rule's newest counter to the window that contains `now`.

    If that window already has a counter, add the amounts of both counters.
    """
    start, _ = window(rule.duration, alignment, rule.anchor, now)
    same = and_(
        counters.c.rule_id == rule.id, counters.c.metric == rule.metric, counters.c.generation == rule.generation
    )
    there = connection.execute(
        delete(counters)
        .where(same, counters.c.window_start == start)
        .returning(counters.c.id, counters.c.used, counters.c.reserved, counters.c.folded)
    ).one_or_none()
    _move(connection, row.id, rule, alignment, now)
    if there is not None:
        poured = {name: counters.c[name] + getattr(there, name) for name in ("used", "reserved", "folded")}
        connection.execute(update(counters).where(counters.c.id == row.id).values(poured))
        connection.execute(update(ledger).where(ledger.c.counter_id == there.id).values(counter_id=row.id))
