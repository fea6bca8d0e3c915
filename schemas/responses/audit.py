"""Describes the responses about the audit log, which records who changed what."""

from marshmallow import Schema, fields

from governance.domain.records.audit import AuditAction, Entity
from schemas.responses.envelopes import Paged
from schemas.responses.fields import instant, text, whole


def _value() -> fields.Raw:
    kinds = ["string", "number", "boolean", "array"]
    return fields.Raw(required=True, allow_none=True, metadata={"type": kinds, "items": {"type": "string"}})


class AuditChange(Schema):
    """A field that changed. `old` is null if the field did not exist, and `new` is null if it no longer exists."""

    field = text("As answers name it; a rule stands under its window, such as budgets[1d].max_limit.")
    old = _value()
    new = _value()


class AuditEntry(Schema):
    """An entry of the audit log: who changed one object, when, and how."""

    seq = whole("Rises with every entry.")
    at = instant()
    actor = text("key:<id of the API key>, command:<name>, file:<name>, or service.")
    entity = fields.String(required=True, metadata={"enum": [entity.value for entity in Entity]})
    entity_id = text()
    action = fields.String(required=True, metadata={"enum": [action.value for action in AuditAction]})
    changes = fields.List(fields.Nested(AuditChange), required=True)


class AuditList(Paged):
    """A page of the audit log."""

    audit = fields.List(fields.Nested(AuditEntry), required=True)
