"""The counters: the usage of each rule in each window.

The ledger contains one row for each reservation and each counter on which it reserves. `folded` is the part of a
counter's usage that is in no ledger row.
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
    """Return the `touched_at` for a write.

    It is later than all earlier ones, even if the clock was set back. Only one writer runs at a time, so a reader that
    has seen all rows up to an instant has missed no earlier row.
    """
    last = config_revision.c.touched_at
    raised = update(config_revision).values(touched_at=case((last >= now, last + 1), else_=now))
    return int(connection.execute(raised.returning(last)).scalar_one())


def open_all(connection: Connection, openings: Sequence[Opening], now: int) -> None:
    """Create the counters of new rules with usage from another store.

    This usage is in no ledger row, so it is added to `folded`.
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
    """Move the counters to the new ids of their rules. Move the open counters to the new windows."""
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
    """Move all counters of a rule, including closed ones, because open reservations are settled on them."""
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
    """Return the ids of these rules' counters whose window has not ended.

    Of each generation, only the newest counter is returned.
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
    """Store the new maxima of rules in the counters of their open windows.

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
    """Set the usage in the current windows of a limit to 0.

    Reserved amounts stay. The difference is subtracted from `folded`, so the counter still equals its ledger. A counter
    may start more than a day ahead of the clock. Such a counter is moved to the window of `now`.
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
    """Return the counter that starts furthest ahead of the clock, if this is more than a day. Otherwise return None."""
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
    """Set the usage to 0.

    If the sum of the ledger is large, set the ledger's rows to 0 too, so that the sum cannot become too large.
    """
    touched_at = touch(connection, now)
    folded = row.folded - row.used
    if folded < -LARGEST_SUM // 2:
        connection.execute(update(ledger).where(ledger.c.counter_id == row.id).values(used=0))
        folded = 0
    zeroed = update(counters).where(counters.c.id == row.id)
    connection.execute(zeroed.values(used=0, folded=folded, reset_at=touched_at, touched_at=touched_at))


def _bring_back(connection: Connection, row: Newest, rule: Rule, alignment: Alignment, now: int) -> None:
    """Move a rule's newest counter to the window of `now`. If that window already has a counter, add both counters."""
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
