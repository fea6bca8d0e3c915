"""Reads request bodies and files as strict JSON.

This module refuses text that JSON readers understand in different ways: duplicate keys, NaN, unpaired surrogates.
Numbers are exact.
An integer of at most 40 characters becomes an `int`. Every other number becomes a `Decimal`, never a float.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from governance.domain.errors import Code, InvalidRequest

MAX_DEPTH = 32
SHOWN = 100
"""The largest number of characters of a key that an error message shows."""
LONGEST_INTEGER = 40
"""An integer with more characters than this becomes a Decimal instead of an `int`.

The time that `int()` takes grows with the square of the length. No field accepts such a large number anyway.
"""


class JsonMessages(NamedTuple):
    """The words that differ between the error messages for a request body and those for a file."""

    act: str
    it: str
    sample: str


BODY = JsonMessages("Send", "the body", "{}")
FILE = JsonMessages("Write", "the file", '{"model_configs": [...]}')


def read_object(text: bytes, words: JsonMessages = BODY, deepest: int = MAX_DEPTH) -> dict[str, Any]:
    """Parse the JSON object in a text.

    Objects and arrays may be nested at most `deepest` levels deep. Raises InvalidRequest (code `invalid_body`) if the
    text is not a valid JSON object.
    """
    try:
        value = _DECODER.decode(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _refusal(f"{words.act} {words.it} as UTF-8.") from error
    except RecursionError as error:
        raise _too_deep(words, deepest) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _refusal(f"{words.act} a JSON object: {words.it} is not valid JSON at {place}.") from error
    if not isinstance(value, dict):
        raise _refusal(f"{words.act} a JSON object, such as {words.sample}.")
    if b"\\u" in text or text.count(b"{") + text.count(b"[") > deepest:
        _check(value, 1, words, deepest)
    return value


def _too_deep(words: JsonMessages, deepest: int) -> InvalidRequest:
    return _refusal(f"Nest {words.it} at most {deepest} deep.")


def _refusal(message: str, param: str | None = None) -> InvalidRequest:
    return InvalidRequest(message, param=param, code=Code.INVALID_BODY)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            shown = _printable(key[:SHOWN])
            raise _refusal(f"Give {shown!r} once: it stands twice in the same object.", shown)
        result[key] = value
    return result


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= LONGEST_INTEGER else Decimal(digits)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise _refusal("Use a number that is not astronomically large or small.") from error


def _constant(name: str) -> None:
    raise _refusal(f"Use a number: {name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal, parse_constant=_constant
)


def _check(value: Any, depth: int, words: JsonMessages, deepest: int) -> None:
    """Refuse values that are nested deeper than `deepest`, and text that cannot be encoded as UTF-8."""
    if isinstance(value, str):
        _check_text(value, words)
    elif isinstance(value, dict | list):
        if depth > deepest:
            raise _too_deep(words, deepest)
        for item in value if isinstance(value, list) else (*value, *value.values()):
            _check(item, depth + 1, words, deepest)


def _check_text(text: str, words: JsonMessages) -> None:
    if not text.isascii() and _printable(text) != text:
        raise _refusal(f"{words.act} text without unpaired surrogates (\\ud800 to \\udfff).")


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
