"""Where in a JSON text each value stands: for the line of a fault in a file, and asked only when there is one."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
LAST_STEP = re.compile(r"[.\[][^.\[]*$")


class _Inside(NamedTuple):
    """An array or object that is open: its path, and the place in it (an index, a key, or None before a key)."""

    path: str
    place: int | str | None


def places(text: str) -> Iterator[tuple[str, int]]:
    """The path of each value in a valid JSON text, such as `budgets[0].max_limit`, with its line; a key's is its own.

    A path that comes twice is a key that stands twice in one object.
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
    """The first key that stands twice in one object, by its path, and the line of its second place."""
    seen: set[str] = set()
    for path, line in places(text):
        if path in seen:
            return path, line
        seen.add(path)
    return "", 1


def steps_to(path: str) -> Iterator[str]:
    """A path, and each path that it stands in."""
    yield path
    while LAST_STEP.search(path):
        path = LAST_STEP.sub("", path)
        yield path


def line_of(path: str, lines: Mapping[str, int]) -> int:
    """The line of a path, or of what it would stand in where nothing stands there."""
    while path not in lines and LAST_STEP.search(path):
        path = LAST_STEP.sub("", path)
    return lines.get(path, 1)
