"""Describes the responses about users."""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import instant, text


class User(Schema):
    """A user: an id and a name."""

    id = text()
    name = text()
    created_at = instant()
    updated_at = instant()


class UserFound(Schema):
    """The response to a request for one user."""

    user = fields.Nested(User, required=True)


class UserWritten(Done):
    """The response to a create or an update: the stored user."""

    user = fields.Nested(User, required=True)


class UserList(Paged):
    """A page of users."""

    users = fields.List(fields.Nested(User), required=True)
