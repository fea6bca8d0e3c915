"""Finds the names of virtual keys and users by id. The names of deleted ones come from the audit log."""

from collections.abc import Iterable, Mapping

import orjson
from sqlalchemy import select
from sqlalchemy.engine import Connection

from governance.domain.history.query import Group, Names
from governance.domain.records.audit import AuditAction, Entity
from governance.storage.tables import audit, users, virtual_keys

TABLES = {Entity.VIRTUAL_KEY: virtual_keys, Entity.USER: users}
ENTITIES = {Group.VIRTUAL_KEY: Entity.VIRTUAL_KEY, Group.USER: Entity.USER}
"""The kind of entity for each group of usage whose members have names."""


def of_members(connection: Connection, members: Mapping[Group, Iterable[str]]) -> Names:
    """Return the names of virtual keys and users, by group and id. Groups that are not in `ENTITIES` are left out."""
    return {group: _of_ids(connection, ENTITIES[group], ids) for group, ids in members.items() if group in ENTITIES}


def _of_ids(connection: Connection, entity: Entity, ids: Iterable[str]) -> dict[str, str]:
    """Return the name of each id that has a name, or had one."""
    wanted, table = sorted({each for each in ids if each}), TABLES[entity]
    stored = select(table.c.id, table.c.name).where(table.c.id.in_(wanted))
    found: dict[str, str] = {row.id: row.name for row in connection.execute(stored)}
    missing = [each for each in wanted if each not in found]
    deleted = (
        select(audit.c.entity_id, audit.c.changes)
        .where(audit.c.entity == entity, audit.c.entity_id.in_(missing), audit.c.action == AuditAction.DELETE)
        .order_by(audit.c.seq)
    )
    for entity_id, changes in connection.execute(deleted) if missing else ():
        for each in orjson.loads(changes):
            if each["field"] == "name":
                found[entity_id] = each["old"]
    return found
