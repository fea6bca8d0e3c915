"""Describes the responses about API keys. An API key gives access to the API of this service."""

from marshmallow import Schema, fields

from governance.domain.keys import KeyScope
from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import instant, text


class ApiKey(Schema):
    """An API key without its value."""

    id = text()
    name = text()
    key_prefix = text("The first characters of the key.")
    scopes = fields.List(fields.String(metadata={"enum": [scope.value for scope in KeyScope]}), required=True)
    expires_at = instant(null=True)
    last_used_at = instant("At most one poll behind.", null=True)
    created_at = instant()


class NewApiKey(ApiKey):
    """A new API key with its value. No later response contains the value."""

    key = text("In this answer alone.")


class ApiKeyCreated(Done):
    """The response to the creation of an API key."""

    api_key = fields.Nested(NewApiKey, required=True)


class ApiKeyList(Paged):
    """A page of API keys."""

    api_keys = fields.List(fields.Nested(ApiKey), required=True)
