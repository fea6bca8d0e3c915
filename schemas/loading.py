"""Loads JSON objects with marshmallow schemas, and converts the errors of marshmallow to faults.

A fault is an error in the input: the path of a field, and a message that says what to do. Null counts as a missing
field, except in fields that accept null. Unknown fields are refused by name. Up to 100 faults are reported at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, missing, post_load, pre_load, validates_schema

from governance.domain.errors import Code, Fault, InvalidRequest
from governance.domain.strict_json import SHOWN
from schemas.fields import BaseField, ReadOnly

UNKNOWN = "unknown"
NOT_AN_OBJECT = "not an object"
SCHEMA = "_schema"
"""The key under which marshmallow reports the faults of a whole object."""
MOST_FAULTS = 100
"""The largest number of faults in one response. A body can contain 100,000 faults."""
OF_FLAT = ("one_form", "make")
"""The methods that a subclass of `FlatBody` may define. They must not have a marshmallow decorator.

A marshmallow decorator adds an attribute to a method. So a decorated method is recognized by its `vars`.
"""


class Body(Schema):
    """The schema of a JSON object that a client sends."""

    nullable: frozenset[str] = frozenset()
    """The names of the fields that accept null. In all other fields, null counts as a missing field."""
    optional = False
    """Whether a missing body counts as an empty object."""

    class Meta:
        """Refuses unknown fields."""

        unknown = RAISE

    error_messages = {"unknown": UNKNOWN, "type": NOT_AN_OBJECT}  # noqa: RUF012

    @cached_property
    def shown(self) -> frozenset[str]:
        """The names of the read-only fields."""
        return frozenset(name for name, field in self.load_fields.items() if isinstance(field, ReadOnly))

    @pre_load
    def drop_nulls_and_shown(self, data: Any, **_: Any) -> Any:
        """Remove read-only fields, and fields whose null counts as missing."""
        if not isinstance(data, Mapping):
            return data
        return {
            name: value
            for name, value in data.items()
            if name not in self.shown and (value is not None or name in self.nullable or name not in self.fields)
        }


class FlatBody(Body):
    """A body that is loaded faster than others, because clients send such bodies for every call to a model.

    `read` loads a valid body in one pass over the fields in the body. marshmallow would visit all fields of the schema.
    If the body is not valid, `read` lets marshmallow load it again, to get all errors. A subclass may define `one_form`
    and `make`. It may not define marshmallow hooks (such as `post_load`), because the single pass does not run them.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise TypeError if a subclass has methods that the single pass would not run."""
        super().__init_subclass__(**options)
        for base in set(cls.__mro__) - set(FlatBody.__mro__):
            for name, value in vars(base).items():
                if callable(value) and not name.startswith("__") and (name not in OF_FLAT or vars(value)):
                    sentence = f"Derive {cls.__name__} from Body, or take {name} out of {base.__name__}"
                    raise TypeError(f"{sentence}: a FlatBody has fields and plain {' and '.join(OF_FLAT)} only.")

    def read(self, data: Any) -> Any:
        """Return the same result as `load`, but faster. Raises ValidationError."""
        if not self._is_plain:
            return self.load(data)
        try:
            known: dict[str, Any] = self.load_fields
            needed, defaults = self._left_out
            given = {name: value for name, value in data.items() if value is not None or name not in known}
            loaded = {name: known[name].parse(value) for name, value in given.items()}
            if needed <= given.keys():
                self.one_form(loaded, given)
                return self.make({**defaults, **loaded})
        except (AttributeError, KeyError, ValidationError):
            pass
        return self.load(data)

    def one_form(self, data: dict[str, Any], original: Any) -> None:
        """Raise ValidationError if the body gives the same value in two forms. A subclass may define this method."""

    def make(self, data: dict[str, Any]) -> Any:
        """Return the result of the load, made from the loaded fields. A subclass may define this method."""
        return data

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_form(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        """Run `one_form` when marshmallow loads the body."""
        self.one_form(data, original)

    @post_load
    def finish(self, data: dict[str, Any], **_: Any) -> Any:
        """Run `make` when marshmallow loads the body."""
        return self.make(data)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether the single pass of `read` does everything that the schema and its fields require."""
        usual = self.unknown == RAISE and not self.many and not self.partial and not self.nullable
        return usual and all(map(_is_plain, self.load_fields.values()))

    @cached_property
    def _left_out(self) -> tuple[frozenset[str], dict[str, Any]]:
        """The names of the required fields, and the default values of the fields that have one."""
        known = self.load_fields.items()
        defaults = {name: field.load_default for name, field in known if field.load_default is not missing}
        return frozenset(name for name, field in known if field.required), defaults


def _is_plain(field: fields.Field[Any]) -> bool:
    """Return whether loading a field needs only `parse`, and the loaded value has the same name as the field."""
    steps = field.attribute, field.validate, field.pre_load, field.post_load
    return isinstance(field, BaseField) and not any(steps) and not callable(field.load_default)


def load(schema: Schema, data: Mapping[str, Any]) -> Any:
    """Load data with a schema. Raises InvalidRequest with the faults, at most `MOST_FAULTS` of them."""
    try:
        return schema.read(data) if isinstance(schema, FlatBody) else schema.load(data)
    except ValidationError as error:
        raise InvalidRequest.of(list(islice(faults(schema, error), MOST_FAULTS))) from error


def faults(schema: Schema, error: ValidationError) -> Iterator[Fault]:
    """Yield the faults of an input that marshmallow refused. A path looks like `budgets[0].max_limit`."""
    for path, message in _flat("", error.messages):
        if message == UNKNOWN:
            name = path or SCHEMA
            yield Fault(name, _unknown(name, schema), Code.UNKNOWN_FIELD)
        elif message == NOT_AN_OBJECT:
            yield Fault(path or None, not_an_object(path))
        else:
            yield Fault(path or None, message)


def not_an_object(path: str) -> str:
    """Return the message for a value that must be an object."""
    return f"Give {path or 'this'} as an object, with its fields in braces: {{…}}."


def _unknown(path: str, schema: Schema) -> str:
    at, _, name = path.rpartition(".")
    inside, everywhere = dict(_paths(_object(schema, at))), dict(_paths(schema))
    here = [known for known, place in inside.items() if known == place]
    near = inside.get(name) or _nearest(name, here) or everywhere.get(_nearest(name, everywhere))
    return f"Leave out {path}: there is no such field{_hint(near)}."


def _object(schema: Schema, path: str) -> Schema:
    """Return the schema for the object at a path, for example `budgets[0]`.

    If there is no such object, return the schema for the deepest known object on the path.
    """
    for step in path.split("."):
        schema = _inner(schema.fields.get(step.partition("[")[0])) or schema
    return schema


def _inner(field: Any) -> Schema | None:
    inner = field.inner if isinstance(field, fields.List) else field
    return inner.schema if isinstance(inner, fields.Nested) else None


def _paths(schema: Schema, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and path of each field that a client may set. Nested fields come first."""
    for name, field in reversed(schema.fields.items()):
        inner = _inner(field)
        if inner is not None:
            yield from _paths(inner, f"{at}{name}{'[]' if isinstance(field, fields.List) else ''}.")
    yield from ((name, at + name) for name, field in schema.fields.items() if not isinstance(field, ReadOnly))


def meant(name: str, known: Iterable[str]) -> str:
    """Return the hint "did you mean" with the known name that is most similar to `name`, or '' if none is similar."""
    return _hint(_nearest(name, known))


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(get_close_matches(name[:SHOWN], known, 1)), "")


def _hint(near: str | None) -> str:
    return f" (did you mean {near}?)" if near else ""


def _flat(path: str, messages: Any) -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _flat(_joined(path, key), inner)
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield path, str(message)


def _joined(path: str, key: Any) -> str:
    if key == SCHEMA:
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    name = str(key)[:SHOWN]
    return f"{path}.{name}" if path else name
