"""Inserts, changes and deletes model limits and their rules in the database.

A rule allows at most `max_limit` of a metric (cost, tokens or requests) in each window of time. A counter contains what
was used and reserved of a rule in one window. The config revision is a number that every change of limits, keys, users
or prices raises. `revision` is its new value.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from governance.domain.limits.item_matching import RuleKey, predecessors
from governance.domain.limits.limit import Limit, Rule
from governance.domain.names import Identity, fold, spelled, spellings
from governance.domain.records.stored import NO_FILE, ManagedLimit, Source
from governance.storage import revisions
from governance.storage.limits import counters
from governance.storage.tables import model_limits, rules

_columns = [column.name for column in model_limits.columns]
_one_limit = model_limits.c.id == bindparam("its_id")
_one_rule = (rules.c.id == bindparam("its_id"), rules.c.metric == bindparam("its_metric"))


def find_identical(connection: Connection, identity: Identity) -> str | None:
    """Return the id of the limit with this identity (scope, scope id, provider and model), or None."""
    columns = (
        model_limits.c.scope,
        model_limits.c.scope_id,
        model_limits.c.match_provider,
        model_limits.c.match_name,
    )
    same = and_(*(column == value for column, value in zip(columns, identity, strict=True)))
    return connection.execute(select(model_limits.c.id).where(same)).scalar_one_or_none()


class Edit(NamedTuple):
    """A limit before and after an edit."""

    before: Limit
    after: Limit


def add_all(connection: Connection, limits: Sequence[Limit], revision: int, source: Source = NO_FILE) -> None:
    """Store new limits with their rules. `source` is the config file that created them."""
    origin = {"source": source.name, "place": source.place}
    if limits:
        connection.execute(insert(model_limits), [_row(limit, revision) | origin for limit in limits])
    added = [_rule_row(limit, rule) for limit in limits for rule in limit.rules]
    if added:
        connection.execute(insert(rules), added)


def note_places(connection: Connection, held: Iterable[ManagedLimit]) -> None:
    """Store, for each of these limits, the path of the config file that created the limit."""
    rows = [{"its_id": each.limit.id, "its_place": each.source.place} for each in held]
    if rows:
        connection.execute(update(model_limits).where(_one_limit).values(place=bindparam("its_place")), rows)


def replace(connection: Connection, before: Limit, after: Limit, revision: int, now: int) -> None:
    """Store an edit of one limit.

    The counters of removed rules are deleted. If an edit changes the windows of a rule, the rule gets the next
    generation number. The counter of the rule's current window then moves to this generation.
    """
    replace_all(connection, [Edit(before, after)], revision, now)


def replace_all(connection: Connection, edits: Sequence[Edit], revision: int, now: int) -> None:
    """Store edits of several limits. The number of SQL statements does not depend on the number of edits."""
    if not edits:
        return
    rows = [_row(edit.after, revision) for edit in edits]
    connection.execute(update(model_limits).where(_one_limit), [row | {"its_id": row["id"]} for row in rows])
    before = {rule.key for edit in edits for rule in edit.before.rules}
    after = {rule.key: (edit.after, rule) for edit in edits for rule in edit.after.rules}
    kept = [_rule_row(*after[key]) | _rule_key(key) for key in after.keys() & before]
    if kept:
        connection.execute(update(rules).where(*_one_rule), kept)
    added = [_rule_row(*found) for key, found in after.items() if key not in before]
    if added:
        connection.execute(insert(rules), added)
    counters.move_all(connection, [move for edit in edits for move in _moves(edit)], now)
    counters.note_maxima(connection, [rule for edit in edits for rule in _with_new_maximum(edit)], now)
    gone = [_rule_key(key) for key in before - after.keys()]
    if gone:
        connection.execute(delete(rules).where(*_one_rule), gone)


def remove(connection: Connection, ids: Iterable[str], revision: int) -> None:
    """Delete limits with their rules and counters."""
    gone = [{"its_id": limit_id} for limit_id in ids]
    if gone:
        connection.execute(delete(model_limits).where(_one_limit), gone)
    revisions.add_tombstones(connection, revisions.LIMIT, [row["its_id"] for row in gone], revision)


def ids_of_scope(connection: Connection, scope: str, scope_id: str) -> list[str]:
    """Return the ids of the limits that belong to one virtual key or user."""
    bound = select(model_limits.c.id).where(model_limits.c.scope == scope, model_limits.c.scope_id == scope_id)
    return list(connection.execute(bound).scalars())


def ids_of_model(connection: Connection, model: str) -> list[str]:
    """Return the ids of the limits on a model, newest first.

    All spellings of the model's name are found, including `provider/model`.
    """
    provider, bare = spelled(model, None)
    names = spellings(provider, bare) if provider else (bare,)
    in_full = model_limits.c.match_name.in_({fold(model.strip()), *names[1:]})
    own = (model_limits.c.match_provider == provider) & model_limits.c.match_name.in_(names)
    named = select(model_limits.c.id).where(in_full | own)
    newest_first = named.order_by(model_limits.c.created_at.desc(), model_limits.c.id.desc())
    return list(connection.execute(newest_first).scalars())


def _row(limit: Limit, revision: int) -> dict[str, Any]:
    identity = limit.identity
    return {name: value for name, value in limit._asdict().items() if name in _columns} | {
        "provider": limit.provider or "",
        "scope_id": limit.scope_id or "",
        "match_provider": identity.provider,
        "match_name": identity.model,
        "revision": revision,
    }


def _moves(edit: Edit) -> Iterable[counters.Move]:
    """Yield each rule that gets new windows or a new id in an edit, together with the rule before the edit."""
    before = predecessors(edit.before.rules, edit.after.rules)
    for rule in edit.after.rules:
        known = before.get(rule.key, rule)
        if (known.id, known.generation) != (rule.id, rule.generation):
            yield counters.Move(known, rule, edit.after.alignment)


def _with_new_maximum(edit: Edit) -> Iterable[Rule]:
    """Return the rules whose maximum changes in an edit."""
    before = predecessors(edit.before.rules, edit.after.rules)
    return (rule for rule in edit.after.rules if before.get(rule.key, rule).max_limit != rule.max_limit)


def _rule_key(key: RuleKey) -> dict[str, str]:
    return {"its_id": key[0], "its_metric": key[1]}


def _rule_row(limit: Limit, rule: Rule) -> dict[str, Any]:
    return rule._asdict() | {"model_limit_id": limit.id, "position": limit.rules.index(rule)}
