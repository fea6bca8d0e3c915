"""Converts entries of the audit log to the form in which the dashboard shows them."""

import json
from decimal import Decimal
from typing import Any, NamedTuple

from governance.domain.records.audit import Entity, RecordedEntry

TITLES = {
    Entity.MODEL_CONFIG: "limit",
    Entity.VIRTUAL_KEY: "virtual key",
    Entity.USER: "user",
    Entity.API_KEY: "API key",
    Entity.PRICE: "price",
}

RULE_IDS = "[*].id"
"""The end of the names of fields that contain ids of rules.

The page does not show these fields, because readers can tell rules apart by their windows: `budgets[1d].max_limit`.
"""


class FieldChange(NamedTuple):
    """A field with its old and its new value as text. A value that does not exist is ''."""

    field: str
    old: str
    new: str


class AuditRow(NamedTuple):
    """One change: who changed what and when."""

    seq: int
    at: int
    actor: str
    entity: str
    title: str
    entity_id: str
    action: str
    changes: list[FieldChange]


def row(recorded: RecordedEntry) -> AuditRow:
    """Convert an entry of the audit log to a row."""
    seq, told = recorded
    listed = json.loads(told.changes, parse_float=Decimal)
    told_fields = (each for each in listed if not each["field"].endswith(RULE_IDS))
    changes = [FieldChange(each["field"], _text(each["old"]), _text(each["new"])) for each in told_fields]
    return AuditRow(
        seq, told.at, told.actor, told.entity, TITLES[Entity(told.entity)], told.entity_id, told.action, changes
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, int | Decimal):
        return f"{value:,}" if isinstance(value, int) else f"{value:,f}"
    return str(value)
