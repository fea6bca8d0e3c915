"""Checks the four fields that say to which calls a new model limit applies: model, provider, scope and scope id.

The scope says whose calls the limit applies to: everybody's (global), or those of one virtual key or user. The scope id
is the id of this virtual key or user.
"""

from collections.abc import Mapping
from typing import Any

from governance.domain.limits.limit import Scope
from governance.domain.names import ALL_MODELS, canonical_model

STAR_IN_MODEL = (
    "Give model_name as the whole name of one model, or as '*' alone for all models: "
    "names are matched as they are written, so that one with '*' in it would meet no call."
)
STAR_IN_PROVIDER = (
    "Give provider as the whole name of one provider, or leave it out for all: one with '*' in it would meet no call."
)
STAR_AS_ID = "Give scope_id as the id of one virtual key or user: '*' is none, and does not stand for each of them."
ID_OF_GLOBAL = "Leave scope_id out, or give scope as virtual_key or user: a limit of the scope global has none."


def faults(data: Mapping[str, Any], original: Any) -> dict[str, list[str]]:
    """Return error messages by field. `data` contains the valid fields as loaded, `original` the fields as sent."""
    found: dict[str, list[str]] = {}
    model, provider = data.get("model_name", ALL_MODELS), data.get("provider")
    if "*" in model and canonical_model(model, provider) != ALL_MODELS:
        found["model_name"] = [STAR_IN_MODEL]
    if "*" in (provider or ""):
        found["provider"] = [STAR_IN_PROVIDER]
    if data.get("scope_id") == "*":
        found["scope_id"] = [STAR_AS_ID]
    scope, scope_id = data.get("scope"), original.get("scope_id")
    if scope_id is None:
        if scope not in (None, Scope.GLOBAL):
            found["scope_id"] = [f"Give scope_id: the scope {scope} needs one."]
    elif scope == Scope.GLOBAL and not is_empty(scope_id):
        found["scope_id"] = [ID_OF_GLOBAL]
    return found


def is_empty(value: Any) -> bool:
    """Return whether an id counts as missing: it is null, or contains only spaces."""
    return value is None or (isinstance(value, str) and not value.strip())
