"""RESULTS.md: a section for each benchmark, replaced when that benchmark has run."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

FILE = Path(__file__).parent / "RESULTS.md"
HEAD = "# Results\n\nEach section is written by the command that it names; edit nothing here by hand.\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns as wide as their widest cell; all but the first stand to the right."""
    lines = [head, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(line, widths) for line in [lines[0], rule, *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"


def write(name: str, text: str) -> None:
    """Put a section in its place in the file; behind the others where it is new."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    old = FILE.read_text("utf-8") if FILE.exists() else HEAD
    new, found = re.subn(f"{begin}.*?{end}", lambda _: section, old, flags=re.DOTALL)
    FILE.write_text(new if found else f"{old}\n{section}\n", "utf-8")
