"""Functions that make the fields of response schemas.

A response always contains each of these fields. If `null` is true, the field may be null.
"""

from marshmallow import fields


def text(description: str = "", *, null: bool = False) -> fields.String:
    """Return a field for a string."""
    return fields.String(required=True, allow_none=null, metadata={"description": description} if description else {})


def instant(description: str = "", *, null: bool = False) -> fields.String:
    """Return a field for an RFC 3339 time."""
    return fields.String(required=True, allow_none=null, metadata={"format": "date-time", "description": description})


def dollars(description: str, *, null: bool = False) -> fields.Decimal:
    """Return a field for an exact number of dollars."""
    return fields.Decimal(required=True, allow_none=null, metadata={"description": description, "type": "number"})


def whole(description: str = "", *, null: bool = False) -> fields.Integer:
    """Return a field for a whole number."""
    return fields.Integer(required=True, allow_none=null, metadata={"description": description})


def flag(description: str = "") -> fields.Boolean:
    """Return a field for true or false."""
    return fields.Boolean(required=True, metadata={"description": description})
