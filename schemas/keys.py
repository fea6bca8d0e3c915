"""Virtual keys, users and API keys: the schemas of their bodies, and their JSON in responses.

A virtual key is a key that a gateway gives to its clients. An API key gives access to the API of this service.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import pre_load
from marshmallow.validate import Length as ListLength

from governance.domain.keys import ApiKey, KeyScope, User, VirtualKey
from governance.domain.times import rfc3339
from schemas.fields import Boolean, BoundedList, Name, OneOf, ReadOnly, Text, Unsupported
from schemas.loading import Body
from schemas.time_fields import Instant

KEY_SCOPES = {scope.value: scope for scope in KeyScope}
SCOPES_WANTED = "Give scopes as a list of one or more of " + ", ".join(KEY_SCOPES) + "."
LONGEST_DESCRIPTION = 1000


CAPS = (
    "Leave {field} out, or empty, and create a model config with scope virtual_key and this key's id instead: "
    "a key's own caps are limits here."
)
OWNER = "Leave {field} out, or null: there are no teams and customers here, so that their caps would not hold."
PROVIDERS = (
    "Leave provider_configs out, or empty, and create a model config with scope virtual_key, this key's id and the "
    "provider for each cap: which models and keys a virtual key may use is the gateway's to say."
)
TOOLS = "Leave mcp_configs out, or empty: which tools a virtual key may use is the gateway's to say."


class VirtualKeyBody(Body):
    """The fields that a create and an update of a virtual key have in common."""

    nullable = frozenset({"description", "expires_at"})

    description = Text(most=LONGEST_DESCRIPTION, allow_none=True)
    is_active = Boolean()
    calendar_aligned = Boolean(metadata={"description": "What new limits on this key take over."})
    expires_at = Instant(allow_none=True, metadata={"description": "In the future; null for never."})
    value_prefix = ReadOnly()
    created_at = ReadOnly()
    updated_at = ReadOnly()


class IgnoredKeyFields(Body):
    """Fields that virtual keys have in the gateway Bifrost, but not in this service. They are refused if not empty."""

    team_id = Unsupported(OWNER)
    customer_id = Unsupported(OWNER)
    team = Unsupported(OWNER)
    customer = Unsupported(OWNER)
    budget = Unsupported(CAPS)
    budgets = Unsupported(CAPS)
    rate_limit = Unsupported(CAPS)
    rate_limits = Unsupported(CAPS)
    provider_configs = Unsupported(PROVIDERS)
    mcp_configs = Unsupported(TOOLS)
    rate_limit_id = Unsupported(CAPS)
    config_hash = ReadOnly()

    @pre_load
    def without_nothing(self, data: Any, **_: Any) -> Any:
        """Remove unsupported fields that are empty: null, empty text, an empty list, or an object with only nulls."""
        if not isinstance(data, Mapping):
            return data
        unsupported = {name for name, field in self.fields.items() if isinstance(field, Unsupported)}
        return {name: value for name, value in data.items() if name not in unsupported or not _is_nothing(value)}


def _is_nothing(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(inner is None for inner in value.values())
    return value is None or value in ("", [])


class NewVirtualKey(VirtualKeyBody):
    """The fields of a new virtual key, in an HTTP body or a config file."""

    id = Name(metadata={"description": "The gateway's own id for the key; minted where left out."})
    name = Name(required=True)
    value = Name(metadata={"description": "The gateway's own key; minted where left out. Only its digest is kept."})


class VirtualKeyCreate(NewVirtualKey, IgnoredKeyFields):
    """The body of `POST /virtual-keys`."""


class VirtualKeyUpdate(VirtualKeyBody, IgnoredKeyFields):
    """The body of `PUT /virtual-keys/{id}`. A missing field keeps its value."""

    id = ReadOnly()
    name = Name()


class UserCreate(Body):
    """The body of `POST /users`."""

    id = Name(metadata={"description": "The gateway's own id for the user; minted where left out."})
    name = Name(required=True)
    created_at = ReadOnly()
    updated_at = ReadOnly()


class UserUpdate(Body):
    """The body of `PUT /users/{id}`."""

    id = ReadOnly()
    name = Name()
    created_at = ReadOnly()
    updated_at = ReadOnly()


class ApiKeyCreate(Body):
    """The body of `POST /api-keys`."""

    nullable = frozenset({"expires_at"})

    name = Name(required=True)
    scopes = BoundedList(
        OneOf(KEY_SCOPES),
        most=len(KEY_SCOPES),
        required=True,
        validate=ListLength(min=1, error=SCOPES_WANTED),
        error_messages={"invalid": SCOPES_WANTED, "most": SCOPES_WANTED, "required": SCOPES_WANTED},
    )
    expires_at = Instant(allow_none=True, metadata={"description": "In the future; null for never."})
    id = ReadOnly()
    key_prefix = ReadOnly()
    last_used_at = ReadOnly()
    created_at = ReadOnly()


def virtual_key(key: VirtualKey) -> dict[str, Any]:
    """Return a virtual key as JSON, without its value."""
    return {
        "id": key.id,
        "name": key.name,
        "description": key.description,
        "value_prefix": key.value_prefix,
        "is_active": key.is_active,
        "calendar_aligned": key.calendar_aligned,
        "expires_at": _time(key.expires_at),
        "created_at": rfc3339(key.created_at),
        "updated_at": rfc3339(key.updated_at),
    }


def user(user: User) -> dict[str, Any]:
    """Return a user as JSON."""
    return {
        "id": user.id,
        "name": user.name,
        "created_at": rfc3339(user.created_at),
        "updated_at": rfc3339(user.updated_at),
    }


def api_key(key: ApiKey) -> dict[str, Any]:
    """Return an API key as JSON, without its value."""
    return {
        "id": key.id,
        "name": key.name,
        "key_prefix": key.key_prefix,
        "scopes": list(key.scopes),
        "expires_at": _time(key.expires_at),
        "last_used_at": _time(key.last_used_at),
        "created_at": rfc3339(key.created_at),
    }


def _time(instant: int | None) -> str | None:
    return None if instant is None else rfc3339(instant)
