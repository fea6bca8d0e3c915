"""The fields of responses. Each is always present, and says whether it may be null."""

from marshmallow import fields


def text(description: str = "", *, null: bool = False) -> fields.String:
    """A string."""
    return fields.String(required=True, allow_none=null, metadata={"description": description} if description else {})


def instant(description: str = "", *, null: bool = False) -> fields.String:
    """An instant in RFC 3339."""
    return fields.String(required=True, allow_none=null, metadata={"format": "date-time", "description": description})


def dollars(description: str, *, null: bool = False) -> fields.Decimal:
    """An exact number of dollars."""
    return fields.Decimal(required=True, allow_none=null, metadata={"description": description, "type": "number"})


def whole(description: str = "", *, null: bool = False) -> fields.Integer:
    """A whole number."""
    return fields.Integer(required=True, allow_none=null, metadata={"description": description})


def flag(description: str = "") -> fields.Boolean:
    """True or false."""
    return fields.Boolean(required=True, metadata={"description": description})
