"""Finds the line of each value in a JSON text.

This is used only if a file has a fault, to report the line of the fault. A path says where a value is in the JSON, for
example `budgets[0].max_limit`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
LAST_STEP = re.compile(r"[.\[][^.\[]*$")


class _Inside(NamedTuple):
    """An array or object whose end has not been reached: its path, and the current index or key (`place`).

    In an object, `place` is None until the next key has been read.
    """

    path: str
    place: int | str | None


def positions(text: str) -> Iterator[tuple[str, int]]:
    """Yield the path and the line of each value in a valid JSON text.

    The line of a value in an object is the line of its key. If an object contains a key twice, the path of the key is
    yielded twice.
    """
    line, seen = 1, 0
    opened: list[_Inside] = []
    for match in MARK.finditer(text):
        mark, line, seen = match[0], line + text.count("\n", seen, match.start()), match.start()
        inside = opened[-1] if opened else _Inside("", "")
        if mark in "]}":
            opened.pop()
        elif mark == ",":
            opened[-1] = inside._replace(place=inside.place + 1 if isinstance(inside.place, int) else None)
        elif inside.place is None:
            opened[-1] = inside._replace(place=json.loads(mark))
            yield _path(opened[-1]), line
        elif mark != ":":
            if isinstance(inside.place, int):
                yield _path(inside), line
            if mark in "[{":
                opened.append(_Inside(_path(inside), 0 if mark == "[" else None))


def _path(inside: _Inside) -> str:
    if isinstance(inside.place, int):
        return f"{inside.path}[{inside.place}]"
    return f"{inside.path}.{inside.place}" if inside.path else str(inside.place)


def repeated(text: str) -> tuple[str, int]:
    """Return the path of the first duplicate key, and the line of its second occurrence."""
    seen: set[str] = set()
    for path, line in positions(text):
        if path in seen:
            return path, line
        seen.add(path)
    return "", 1


def steps_to(path: str) -> Iterator[str]:
    """Yield a path, and then the path of each object or array around it, from the inside out."""
    yield path
    while LAST_STEP.search(path):
        path = LAST_STEP.sub("", path)
        yield path


def line_of(path: str, lines: Mapping[str, int]) -> int:
    """Return the line of a path.

    If the path does not exist, return the line of the nearest object or array around it.
    """
    while path not in lines and LAST_STEP.search(path):
        path = LAST_STEP.sub("", path)
    return lines.get(path, 1)
