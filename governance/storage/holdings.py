"""All that a file can be compared with: every limit and virtual key, with the file each came from. No counters."""

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from governance.domain.keys import VirtualKey
from governance.domain.limits import Rule
from governance.domain.steps import KEY, LIMIT, HeldKey, HeldLimit, Stored
from governance.storage import revisions, scoped
from governance.storage import virtual_keys as key_rows
from governance.storage.tables import model_limits, rules, virtual_keys

_limits = select(*scoped.LIMIT_COLUMNS, model_limits.c.source)
_rules = select(rules.c.model_limit_id, *scoped.RULE_COLUMNS).order_by(rules.c.model_limit_id, rules.c.position)
_keys = select(*key_rows.COLUMNS, virtual_keys.c.config_hash, virtual_keys.c.source)


def everything(connection: Connection) -> Stored:
    """All that is stored."""
    counted: scoped.Counted = {}
    for limit_id, *rule in connection.execute(_rules).all():
        counted.setdefault(limit_id, []).append((Rule._make(rule), None))
    rows = connection.execute(_limits).all()
    limits = (HeldLimit(scoped.limit_of(row, counted)[0], row.source) for row in rows)
    keys = (HeldKey(VirtualKey._make(row[:-2]), *row[-2:]) for row in connection.execute(_keys).all())
    buried = {(entity, row_id) for entity in (LIMIT, KEY) for row_id in revisions.buried(connection, entity, -1)}
    return Stored({held.limit.id: held for held in limits}, {held.key.id: held for held in keys}, frozenset(buried))


def any_limits(connection: Connection) -> bool:
    """Whether there is a limit."""
    return bool(connection.execute(select(func.count()).select_from(model_limits)).scalar_one())
