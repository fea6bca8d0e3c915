"""Describes the responses about virtual keys, the keys that a gateway gives to its clients."""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import flag, instant, text


class VirtualKey(Schema):
    """A virtual key without its value."""

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
    """A new virtual key with its value. No later response contains the value."""

    value = text("In this answer alone.")


class VirtualKeyFound(Schema):
    """The response to a request for one virtual key."""

    virtual_key = fields.Nested(VirtualKey, required=True)


class VirtualKeyWritten(Done):
    """The response to an update: the stored virtual key."""

    virtual_key = fields.Nested(VirtualKey, required=True)


class VirtualKeyCreated(Done):
    """The response to a create: the new virtual key."""

    virtual_key = fields.Nested(NewVirtualKey, required=True)


class VirtualKeyList(Paged):
    """A page of virtual keys."""

    virtual_keys = fields.List(fields.Nested(VirtualKey), required=True)
