"""Responses about users."""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import instant, text


class User(Schema):
    """A name for a user id."""

    id = text()
    name = text()
    created_at = instant()
    updated_at = instant()


class UserFound(Schema):
    """One user."""

    user = fields.Nested(User, required=True)


class UserWritten(Done):
    """The stored user."""

    user = fields.Nested(User, required=True)


class UserList(Paged):
    """A page of users."""

    users = fields.List(fields.Nested(User), required=True)
