"""Forms: the fields of a page become the body that the API takes, and its faults go back to their fields.

A field has the name that a fault has in the API, such as `budgets[0].max_limit`.
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
    """Return the body of the fields that a schema knows. Empty fields and empty rows of lists are left out.

    Text in a field of `numbers` becomes a number if it is one; otherwise the schema says what is wrong with it.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        text = value.strip()
        steps = [PART.fullmatch(part) for part in name.split(".")]
        if not text or None in steps or name.partition("[")[0].partition(".")[0] not in schema.fields:
            continue
        _put(found, [step for step in steps if step], _value(steps[-1][1] if steps[-1] else "", text, set(numbers)))
    return {
        name: _rows(value) if isinstance(value, dict) and _is_list(value) else value for name, value in found.items()
    }


def flat(body: Any, at: str = "") -> dict[str, str]:
    """Return the fields of a body by their names."""
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
    """Return what a body means. Raises InvalidRequest with all faults."""
    return load(schema, body)


def faults(error: GovernanceError) -> Faults:
    """Return the sentences of an error by field; those of the whole are under `''`."""
    if not isinstance(error, InvalidRequest):
        return {error.param or "" if isinstance(error, Conflict) else "": [error.message]}
    found: Faults = {}
    for fault in error.faults:
        found.setdefault(fault.param or "", []).append(fault.message)
    return found


def shell(body: Mapping[str, Any]) -> str:
    """Return a body as JSON, quoted for a shell."""
    return shlex.quote(orjson.dumps(body, default=_number).decode())


def _number(value: Any) -> orjson.Fragment:
    return orjson.Fragment(f"{value:f}")


def _joined(parts: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, inner in parts:
        yield from flat(inner, name).items()


def _put(found: dict[Any, Any], steps: Sequence[re.Match[str]], value: Any) -> None:
    for step in steps[:-1]:
        found = found.setdefault(step[1], {})
        found = found.setdefault(int(step[2]), {}) if step[2] else found
    last = steps[-1]
    if last[2]:
        found.setdefault(last[1], {})[int(last[2])] = value
    else:
        found[last[1]] = value


def _is_list(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, int) for name in value)


def _rows(value: dict[int, Any]) -> list[Any]:
    """Return the rows in their order. A row that has nothing but its id was emptied, and is left out."""
    rows = (row for _, row in sorted(value.items()))
    return [row for row in rows if not isinstance(row, dict) or set(row) - {"id"}]


def _value(name: str, text: str, numbers: set[str]) -> Any:
    if name in numbers:
        match = NUMBER.fullmatch(text)
        return text if match is None else Decimal(text) if match[1] else int(text)
    return BOOLEANS.get(text, text)
