"""Describes this project's field classes in JSON Schema, for the OpenAPI document.

apispec describes marshmallow's own fields.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from apispec import BasePlugin
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from governance.domain.limits import durations
from schemas import fields, queries, time_fields
from schemas.config.entries import IgnoredFields, QuarterStart
from schemas.config.owners import SeparateFields
from schemas.gateways.authorize import Trust
from schemas.history.queries import Groups
from schemas.loading import Body
from schemas.pricing.token_counts import ProviderUsage

Facts = dict[str, Any]

DURATION = f"^(?:{durations.PERIOD.pattern}|{durations.CLOCK.pattern})$"


def plugins() -> tuple[BasePlugin, ...]:
    """Return new apispec plugins for one document."""
    return FieldPlugin(), ObjectPlugin()


class FieldPlugin(MarshmallowPlugin):
    """apispec's marshmallow plugin, extended by this project's field classes."""

    def init_spec(self, spec: Any) -> None:
        """Add the functions that describe this project's fields to the converter of this document.

        apispec also has a table of field types. The whole process shares that table, so it is not changed.
        """
        super().init_spec(spec)
        for function in (kind, null, tidy):
            self.converter.add_attribute_function(function)  # type: ignore[union-attr]


class ObjectPlugin(BasePlugin):
    """An apispec plugin for properties that describe a whole schema, and not one of its fields."""

    def schema_helper(self, name: str, definition: Facts, **given: Any) -> Facts:  # noqa: ARG002
        """Return the docstring of the schema.

        Also return `additionalProperties`. It is false for request bodies, because unknown fields are refused. It is
        true for responses, because responses may get more fields later.
        """
        schema: Schema = given["schema"]
        return {"description": inspect.getdoc(schema), "additionalProperties": not isinstance(schema, Body)}


def _text(field: fields.Text) -> Facts:
    return {"type": "string", "minLength": field.least, "maxLength": field.most}


def _one_of(field: fields.OneOf) -> Facts:
    """Describe a choice. Its default is shown as a client writes it (`desc`), and not as the loaded value (`True`)."""
    default = [("default", word) for word, meaning in field.choices.items() if meaning == field.load_default]
    return {"type": "string", "enum": list(field.choices), **dict(default)}


def _number(field: fields.Number) -> Facts:
    return {"type": "number", "minimum": field.least, "maximum": field.most}


def _integer(field: queries.QueryInteger) -> Facts:
    """Describe a whole number with its bounds.

    A field with `lowers` accepts a number above its maximum, and uses the maximum instead. So no maximum is returned.
    """
    return {"type": "integer", "minimum": field.least} | ({} if field.lowers else {"maximum": field.most})


ANY = [{"type": "string"}, {"type": "array", "items": {"type": "object"}}, {"type": "object"}]

KINDS: dict[type, Callable[[Any], Facts]] = {
    fields.Text: _text,
    fields.Provider: lambda field: _text(field) | {"not": {"const": "*"}},
    fields.OneOf: _one_of,
    fields.Boolean: lambda _: {"type": "boolean"},
    fields.Number: _number,
    fields.Integer: lambda field: _number(field) | {"type": "integer"},
    fields.Dollars: lambda field: {"type": "number", "exclusiveMinimum": field.least, "maximum": field.most},
    time_fields.DurationField: lambda _: {"type": "string", "pattern": DURATION, "examples": ["1h30m", "1d", "1M"]},
    time_fields.TimeZone: lambda _: {"type": "string", "examples": ["UTC", "Europe/Berlin"]},
    time_fields.MomentField: lambda _: {"type": "string", "examples": ["2026-11-23T00:00:00Z", "2026-11-23", "7d"]},
    time_fields.Instant: lambda _: {"type": "string", "format": "date-time"},
    Trust: lambda _: {"type": "string", "examples": ["provider,uri"]},
    Groups: lambda _: {"type": "string", "examples": ["provider,model"]},
    fields.Unsupported: lambda _: {"type": ["string", "array", "object", "null"], "maxLength": 0, "maxItems": 0},
    SeparateFields: lambda _: {"anyOf": ANY, "description": "As in a model config."},
    QuarterStart: lambda _: {"type": "object"},
    ProviderUsage: lambda _: {"type": "object"},
    IgnoredFields: lambda _: {"readOnly": True, "description": "Accepted, and skipped."},
    fields.ReadOnly: lambda _: {"readOnly": True, "description": "Shown by answers; accepted and ignored."},
    queries.QueryText: lambda _: {"type": "string"},
    queries.QueryInteger: _integer,
    queries.QueryBoolean: lambda _: {"type": "boolean"},
}


def kind(_: Any, field: Any, ret: Facts) -> Facts:  # noqa: ARG001 - apispec passes `ret` by name
    """Return the JSON Schema of a field: the entry in `KINDS` for the field's class, or for the nearest base class."""
    return next(_known(field), {})


def _known(field: Any) -> Iterator[Facts]:
    return (KINDS[cls](field) for cls in type(field).__mro__ if cls in KINDS)


def null(_: Any, field: Any, ret: Facts) -> Facts:
    """Allow null as well, if the field is an optional field of a body.

    So a client may send a response with null fields back unchanged.
    """
    if field.required or not isinstance(field.parent, Body):
        return {}
    if "$ref" in ret:
        return {"anyOf": [{"$ref": ret.pop("$ref")}, {"type": "null"}]}
    own = [ret["type"]] if isinstance(ret.get("type"), str) else ret.get("type", [])
    kinds = {"type": [*dict.fromkeys((*own, "null"))]} if own else {}
    return kinds | ({"enum": [*ret["enum"], None]} if "enum" in ret else {})


def tidy(_: Any, field: Any, ret: Facts) -> Facts:  # noqa: ARG001
    """Remove an empty description. Also remove apispec's `writeOnly`, which contradicts `readOnly`."""
    if not ret.get("description"):
        ret.pop("description", None)
    ret.pop("writeOnly", None)
    return {}
