"""Responses about the keys of this API."""

from marshmallow import Schema, fields

from governance.domain.keys import KeyScope
from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import instant, text


class ApiKey(Schema):
    """A key of this API, without its value."""

    id = text()
    name = text()
    key_prefix = text("The first characters of the key.")
    scopes = fields.List(fields.String(metadata={"enum": [scope.value for scope in KeyScope]}), required=True)
    expires_at = instant(null=True)
    last_used_at = instant("At most one poll behind.", null=True)
    created_at = instant()


class NewApiKey(ApiKey):
    """A key of this API with its value, shown once."""

    key = text("In this answer alone.")


class ApiKeyCreated(Done):
    """A new API key."""

    api_key = fields.Nested(NewApiKey, required=True)


class ApiKeyList(Paged):
    """A page of API keys."""

    api_keys = fields.List(fields.Nested(ApiKey), required=True)
