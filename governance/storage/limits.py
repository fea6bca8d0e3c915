"""Writing model limits: what an edit changes, and nothing else."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.engine import Connection

from governance.domain.limits import Limit, Rule
from governance.domain.names import Identity, fold
from governance.storage import counters, revisions
from governance.storage.tables import model_limits, rules

_columns = [column.name for column in model_limits.columns]


def identical(connection: Connection, identity: Identity) -> str | None:
    """The id of the limit with this identity, where there is one."""
    columns = (
        model_limits.c.scope,
        model_limits.c.scope_id,
        model_limits.c.match_provider,
        model_limits.c.match_name,
    )
    same = and_(*(column == value for column, value in zip(columns, identity, strict=True)))
    return connection.execute(select(model_limits.c.id).where(same)).scalar_one_or_none()


def add(connection: Connection, limit: Limit, revision: int) -> None:
    """Store a new limit with its rules."""
    add_all(connection, [limit], revision)


def add_all(connection: Connection, new: Sequence[Limit], revision: int) -> None:
    """Store new limits with their rules, in one statement each."""
    if new:
        connection.execute(insert(model_limits), [_row(limit, revision) for limit in new])
    _add_rules(connection, [_rule_row(limit, rule) for limit in new for rule in limit.rules])


def replace(connection: Connection, before: Limit, after: Limit, revision: int, now: int) -> None:
    """Store an edit: rules that are gone take their counters with them, a new generation takes its open counter."""
    connection.execute(update(model_limits).where(model_limits.c.id == after.id).values(_row(after, revision)))
    stored = {rule.key: rule for rule in before.rules}
    wanted = {rule.key: rule for rule in after.rules}
    for key in stored.keys() - wanted.keys():
        connection.execute(delete(rules).where(rules.c.id == key[0], rules.c.metric == key[1]))
    _add_rules(connection, [_rule_row(after, rule) for key, rule in wanted.items() if key not in stored])
    for key in wanted.keys() & stored.keys():
        _replace_rule(connection, after, wanted[key])
        if wanted[key].generation != stored[key].generation:
            counters.regenerate(connection, stored[key], wanted[key], after.alignment, now)


def remove(connection: Connection, ids: Iterable[str], revision: int) -> None:
    """Delete limits with their rules and counters."""
    gone = list(ids)
    connection.execute(delete(model_limits).where(model_limits.c.id.in_(gone)))
    revisions.bury(connection, revisions.LIMIT, gone, revision)


def ids_of_scope(connection: Connection, scope: str, scope_id: str) -> list[str]:
    """The limits bound to one virtual key or user."""
    bound = select(model_limits.c.id).where(model_limits.c.scope == scope, model_limits.c.scope_id == scope_id)
    return list(connection.execute(bound).scalars())


def ids_of_model(connection: Connection, model: str) -> list[str]:
    """The limits on a model in whatever spelling, `provider/model` too; the newest first."""
    name = fold(model.strip())
    prefix, _, rest = name.partition("/")
    own_prefix = (model_limits.c.match_provider == prefix) & (model_limits.c.match_name == rest)
    named = select(model_limits.c.id).where((model_limits.c.match_name == name) | own_prefix)
    newest_first = named.order_by(model_limits.c.created_at.desc(), model_limits.c.id.desc())
    return list(connection.execute(newest_first).scalars())


def _row(limit: Limit, revision: int) -> dict[str, Any]:
    identity = Identity.of(limit.scope, limit.scope_id, limit.provider, limit.model_name)
    return {name: value for name, value in limit._asdict().items() if name in _columns} | {
        "provider": limit.provider or "",
        "scope_id": limit.scope_id or "",
        "match_provider": identity.provider,
        "match_name": identity.model,
        "revision": revision,
    }


def _add_rules(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(rules), rows)


def _replace_rule(connection: Connection, limit: Limit, rule: Rule) -> None:
    stored = and_(rules.c.id == rule.id, rules.c.metric == rule.metric)
    connection.execute(update(rules).where(stored).values(_rule_row(limit, rule)))


def _rule_row(limit: Limit, rule: Rule) -> dict[str, Any]:
    return rule._asdict() | {"model_limit_id": limit.id, "position": limit.rules.index(rule)}
