"""Limits and rules with default values for all other fields, and rows of any table."""

from typing import Any

from sqlalchemy import CheckConstraint, Column, MetaData, Table, insert, select
from sqlalchemy.engine import Connection

from governance.domain.limits.limit import Limit, Rule
from governance.domain.names import fold
from governance.domain.times import DAY, parse_rfc3339
from governance.storage.tables import counters

NOON = parse_rfc3339("2026-11-23T12:00:00Z")
MIDNIGHT = parse_rfc3339("2026-11-23T00:00:00Z")


def rule(rule_id: str, metric: str = "cost", **fields: Any) -> Rule:
    """Return a rule of 1,000 a day, whose windows begin at noon."""
    filled = {"max_limit": 1000, "reset_duration": "1d", "anchor": NOON, "generation": 0, "config_hash": None}
    return Rule(**{"id": rule_id, "metric": metric, "created_at": NOON, "updated_at": NOON, **filled, **fields})


def limit(limit_id: str, *rules: Rule, **fields: Any) -> Limit:
    """Return a global limit on a model of its own."""
    name = fields.pop("model_name", f"Model {limit_id}")
    filled: dict[str, Any] = {
        "id": limit_id,
        "model_name": name,
        "provider": None,
        "scope": "global",
        "scope_id": None,
        "calendar_aligned": False,
        "timezone": "UTC",
        "config_hash": None,
        "created_at": NOON,
        "updated_at": NOON,
        "version": 1,
        "search_name": fold(name),
        "rules": rules,
    }
    return Limit(**filled | fields)


def count(connection: Connection, rule: Rule, start: int, **fields: Any) -> int:
    """Add a counter of a day to a rule. Return its id."""
    filled = {"window_end": start + DAY, "used": 0, "reserved": 0, "folded": 0, "touched_at": NOON}
    own = {"rule_id": rule.id, "metric": rule.metric, "generation": rule.generation, "window_start": start}
    made = connection.execute(insert(counters).values(own | filled | fields))
    return int(made.inserted_primary_key[0])


def counted(connection: Connection, rule_id: str, metric: str = "cost") -> list[Any]:
    """Return the counters of a rule, the earliest window first."""
    own = select(counters).where(counters.c.rule_id == rule_id, counters.c.metric == metric)
    return list(connection.execute(own.order_by(counters.c.window_start)))


SPECIAL = {
    "scope": "user",
    "metric": "cost",
    "status": "open",
    "window_end": 10**15,
    "scopes": "read write",
    "timezone": "UTC",
    "same_as_model": None,
    "period": "day",
}
"""Values that a CHECK requires, by column. If a new table refuses an invented row, its column must be added here."""


def fill(connection: Connection, rows: int = 3) -> None:
    """Add invented rows to every table of a database, in any schema."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.sorted_tables:
        if table.name not in {"alembic_version", "config_revision", "database_identity", "usage_bounds"}:
            most = 1 if _holds_one_row(table) else rows
            connection.execute(insert(table), [_row(table, number) for number in range(1, most + 1)])


def _holds_one_row(table: Table) -> bool:
    checks = [str(check.sqltext) for check in table.constraints if isinstance(check, CheckConstraint)]
    return "id = 1" in checks


def _row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _value(column, number) for column in table.columns}


def _value(column: Column[Any], number: int) -> Any:
    if column.name in SPECIAL:
        return SPECIAL[column.name]
    for key in column.foreign_keys:
        return _value(key.column, number)
    kind = column.type.python_type
    values = {int: number, bool: bool(number % 2), bytes: bytes([number]), str: f"{column} {number}"}
    return values[kind]


def content(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, by the tables' names."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        name: sorted((dict(row) for row in connection.execute(select(table)).mappings()), key=repr)
        for name, table in metadata.tables.items()
        if name != "alembic_version"
    }
