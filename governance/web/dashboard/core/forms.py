"""Converts the fields of a form to the body that the API accepts, and groups the faults of the body by field.

A fault is one error in the input. A field of a form has the name under which the API reports its faults, such as
`budgets[0].max_limit`.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from marshmallow import Schema

from governance.domain.errors import Conflict, GovernanceError, InvalidRequest
from schemas.loading import load

PART = re.compile(r"([a-z_0-9]+)(?:\[([0-9]{1,3})\])?")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?")
BOOLEANS = {"true": True, "false": False}
Faults = dict[str, list[str]]


def body(fields: Mapping[str, str], schema: Schema, numbers: Iterable[str] = ()) -> dict[str, Any]:
    """Build a body from the fields that a schema knows.

    Empty fields and empty rows of lists are left out. The text of a field that `numbers` names becomes a number. If the
    text is not a number, it stays text, and the schema later reports it as a fault.
    """
    found: dict[Any, Any] = {}
    for name, value in fields.items():
        text, keys = value.strip(), _keys(name)
        if text and keys and keys[0] in schema.fields:
            _put(found, keys, _value(keys[-1], text, set(numbers)))
    return {name: _plain(value) for name, value in found.items()}


def flat(body: Any, at: str = "") -> dict[str, str]:
    """Convert a body to the names and the texts of form fields. This is the inverse of `body`."""
    if isinstance(body, Mapping):
        return dict(_joined((f"{at}.{name}" if at else name, inner) for name, inner in body.items()))
    if isinstance(body, list):
        return dict(_joined((f"{at}[{index}]", inner) for index, inner in enumerate(body)))
    if body is None:
        return {}
    if isinstance(body, bool):
        return {at: "true" if body else "false"}
    return {at: f"{body:f}" if isinstance(body, Decimal) else str(body)}


def loaded(schema: Schema, body: Mapping[str, Any]) -> Any:
    """Load a body with a schema. Raises InvalidRequest with all faults."""
    return load(schema, body)


def faults(error: GovernanceError) -> Faults:
    """Return the messages of an error by field. The key of messages about the whole form is `''`."""
    if not isinstance(error, InvalidRequest):
        return {error.param or "" if isinstance(error, Conflict) else "": [error.message]}
    found: Faults = {}
    for fault in error.faults:
        found.setdefault(fault.param or "", []).append(fault.message)
    return found


def shell(body: Mapping[str, Any]) -> str:
    """Write a body as JSON, quoted for a shell command."""
    return shlex.quote(orjson.dumps(body, default=_number).decode())


def _number(value: Any) -> orjson.Fragment:
    return orjson.Fragment(f"{value:f}")


def _joined(parts: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, inner in parts:
        yield from flat(inner, name).items()


def _keys(name: str) -> list[str | int]:
    """Split the name of a field into keys, such as `budgets`, 0 and `max_limit`.

    Return an empty list if the name is not valid.
    """
    found: list[str | int] = []
    for part in name.split("."):
        match = PART.fullmatch(part)
        if match is None:
            return []
        found += [match[1]] if match[2] is None else [match[1], int(match[2])]
    return found


def _put(found: dict[Any, Any], keys: Sequence[str | int], value: Any) -> None:
    """Store a value in nested mappings under its keys.

    The value is left out if a key contradicts a stored value. For example, a text cannot contain a field.
    """
    for key in keys[:-1]:
        inner = found.setdefault(key, {}) if _fits(found, key) else None
        if not isinstance(inner, dict):
            return
        found = inner
    if _fits(found, keys[-1]):
        found.setdefault(keys[-1], value)


def _fits(found: dict[Any, Any], key: str | int) -> bool:
    return not found or isinstance(next(iter(found)), int) == isinstance(key, int)


def _plain(value: Any) -> Any:
    """Convert mappings whose keys are row numbers to lists.

    A row that contains only its id is left out, because the user has emptied all other fields of the row.
    """
    if not isinstance(value, dict):
        return value
    if value and isinstance(next(iter(value)), int):
        rows = [_plain(row) for _, row in sorted(value.items())]
        return [row for row in rows if not isinstance(row, dict) or set(row) - {"id"}]
    return {name: _plain(inner) for name, inner in value.items()}


def _value(name: str | int, text: str, numbers: set[str]) -> Any:
    if name in numbers:
        match = NUMBER.fullmatch(text)
        return text if match is None else Decimal(text) if match[1] else int(text)
    return BOOLEANS.get(text, text)
