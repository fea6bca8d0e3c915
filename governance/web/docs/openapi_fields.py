"""What our own fields are in JSON Schema: apispec knows marshmallow's, and asks here about the rest."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from apispec import BasePlugin
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from governance.domain.limits import durations
from schemas import fields, queries
from schemas.config.entries import IgnoredFields, QuarterStart
from schemas.config.owners import SeparateFields
from schemas.loading import Body

Facts = dict[str, Any]

DURATION = f"^(?:{durations.PERIOD.pattern}|{durations.CLOCK.pattern})$"


def plugins() -> tuple[BasePlugin, ...]:
    """The plugins that make apispec understand our schemas, fresh for one document."""
    return FieldPlugin(), ObjectPlugin()


class FieldPlugin(MarshmallowPlugin):
    """marshmallow's fields as apispec knows them, then ours."""

    def init_spec(self, spec: Any) -> None:
        """Teach the document's own converter: apispec's table of types is shared by the whole process."""
        super().init_spec(spec)
        for function in (kind, null, tidy):
            self.converter.add_attribute_function(function)  # type: ignore[union-attr]


class ObjectPlugin(BasePlugin):
    """What a schema as a whole says of itself."""

    def schema_helper(self, name: str, definition: Facts, **given: Any) -> Facts:  # noqa: ARG002
        """Its docstring, and whether it is closed: a body is, an answer may grow."""
        schema: Schema = given["schema"]
        return {"description": inspect.getdoc(schema), "additionalProperties": not isinstance(schema, Body)}


def _text(field: fields.Text) -> Facts:
    return {"type": "string", "minLength": field.least, "maxLength": field.most}


def _one_of(field: fields.OneOf) -> Facts:
    """A default is given as the word that means it: `desc`, where loading makes it True."""
    default = [("default", word) for word, meaning in field.choices.items() if meaning == field.load_default]
    return {"type": "string", "enum": list(field.choices), **dict(default)}


def _number(field: fields.Number) -> Facts:
    return {"type": "number", "minimum": field.least, "maximum": field.most}


def _integer(field: queries.QueryInteger) -> Facts:
    """What lowers takes any larger number."""
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
    fields.DurationField: lambda _: {"type": "string", "pattern": DURATION, "examples": ["1h30m", "1d", "1M"]},
    fields.TimeZone: lambda _: {"type": "string", "examples": ["UTC", "Europe/Berlin"]},
    fields.Instant: lambda _: {"type": "string", "format": "date-time"},
    fields.Unsupported: lambda _: {"type": ["string", "array", "object", "null"], "maxLength": 0, "maxItems": 0},
    SeparateFields: lambda _: {"anyOf": ANY, "description": "As in a model config."},
    QuarterStart: lambda _: {"type": "object"},
    IgnoredFields: lambda _: {"readOnly": True, "description": "Accepted, and skipped."},
    fields.ReadOnly: lambda _: {"readOnly": True, "description": "Shown by answers; accepted and ignored."},
    queries.QueryText: lambda _: {"type": "string"},
    queries.QueryInteger: _integer,
    queries.QueryBoolean: lambda _: {"type": "boolean"},
}


def kind(_: Any, field: Any, ret: Facts) -> Facts:  # noqa: ARG001 - apispec passes `ret` by name
    """What a field of ours is: as the nearest of its classes that the table knows."""
    return next(_known(field), {})


def _known(field: Any) -> Iterator[Facts]:
    return (KINDS[cls](field) for cls in type(field).__mro__ if cls in KINDS)


def null(_: Any, field: Any, ret: Facts) -> Facts:
    """A body takes null wherever it takes nothing: so an answer can be sent back as it came."""
    if field.required or not isinstance(field.parent, Body):
        return {}
    if "$ref" in ret:
        return {"anyOf": [{"$ref": ret.pop("$ref")}, {"type": "null"}]}
    kinds = {"type": [ret["type"], "null"]} if "type" in ret else {}
    return kinds | ({"enum": [*ret["enum"], None]} if "enum" in ret else {})


def tidy(_: Any, field: Any, ret: Facts) -> Facts:  # noqa: ARG001
    """Take out what says nothing, and apispec's `writeOnly`, which contradicts `readOnly`."""
    if not ret.get("description"):
        ret.pop("description", None)
    ret.pop("writeOnly", None)
    return {}
