"""Responses about virtual keys."""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import flag, instant, text


class VirtualKey(Schema):
    """A gateway's key, without its value."""

    id = text()
    name = text()
    description = text(null=True)
    value_prefix = text("The first characters of its value.")
    is_active = flag()
    calendar_aligned = flag("What new limits on this key take over.")
    expires_at = instant(null=True)
    created_at = instant()
    updated_at = instant()


class NewVirtualKey(VirtualKey):
    """A gateway's key with its value, shown once."""

    value = text("In this answer alone.")


class VirtualKeyFound(Schema):
    """One virtual key."""

    virtual_key = fields.Nested(VirtualKey, required=True)


class VirtualKeyWritten(Done):
    """The stored virtual key."""

    virtual_key = fields.Nested(VirtualKey, required=True)


class VirtualKeyCreated(Done):
    """The new virtual key."""

    virtual_key = fields.Nested(NewVirtualKey, required=True)


class VirtualKeyList(Paged):
    """A page of virtual keys."""

    virtual_keys = fields.List(fields.Nested(VirtualKey), required=True)
