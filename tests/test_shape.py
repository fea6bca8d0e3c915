"""Class names are unique. A file has at most 250 lines and a function 40, or its docstring says `Long because …`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("*.py", "governance/**/*.py", "schemas/**/*.py", "bench/*.py", "bench/apps/*.py")
LONGEST_FILE = 250
LONGEST_FUNCTION = 40
REASON = "long because"

KNOWN: set[str] = set()
"""Files and functions that are too long without a reason. They must be split or explained."""


def overlong(source: str, place: str) -> Iterator[str]:
    """Yield the path of a source if it is too long without a reason, and the functions in it that are."""
    tree = ast.parse(source)
    if len(source.splitlines()) > LONGEST_FILE and not _explained(tree):
        yield place
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_long(node) and not _explained(node):
            yield f"{place}: {node.name}"


def _is_long(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION


def _explained(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return REASON in " ".join((ast.get_docstring(node) or "").lower().split())


def found() -> list[str]:
    """Return everything that is too long."""
    files = [file for pattern in PATTERNS for file in sorted(ROOT.glob(pattern))]
    return [one for file in files for one in overlong(file.read_text(), file.relative_to(ROOT).as_posix())]


def test_files_and_functions_are_short_or_say_why():
    assert set(found()) - KNOWN == set()


def test_every_known_exception_is_still_one():
    assert set(found()) >= KNOWN


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\n" * 250, []),
        ("x = 1\n" * 251, ["a.py"]),
        ('"""A table.\n\nLong because\nit is one table."""\n' + "x = 1\n" * 251, []),
        ("def f():\n" + "    x = 1\n" * 39, []),
        ("def f():\n" + "    x = 1\n" * 40, ["a.py: f"]),
        ("class C:\n    async def f(self):\n" + "        x = 1\n" * 40, ["a.py: f"]),
        ('def f():\n    """Long because it is one list."""\n' + "    x = 1\n" * 40, []),
    ],
)
def test_what_is_too_long_is_found(source, expected):
    assert list(overlong(source, "a.py")) == expected


RESPONSES = "schemas/responses/"
"""The schemas of responses have the names that OpenAPI shows. Other classes may have the same names."""
OF_MARSHMALLOW = {"Meta"}


def test_a_class_name_exists_once():
    places: dict[str, list[str]] = {}
    for folder in ("governance", "schemas"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            place = file.relative_to(ROOT).as_posix()
            if not place.startswith(RESPONSES):
                for node in ast.walk(ast.parse(file.read_text())):
                    if isinstance(node, ast.ClassDef) and node.name not in OF_MARSHMALLOW:
                        places.setdefault(node.name, []).append(place)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
