"""Writes RESULTS.md with a section for each part of the benchmark, and results.json with all figures."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import targets
from bench.targets import Target

FOLDER = Path(__file__).parent
HEAD = "# Results\n\nWritten by `make bench` and its parts; edit nothing here by hand.\n\n![Results](results.svg)\n"
Bars = Mapping[str, Mapping[str, float]]
"""The value of each bar in the chart, by the title of the bar's panel and the name of the bar."""


class Part(NamedTuple):
    """The result of one part of the benchmark."""

    name: str
    text: str
    targets: Sequence[Target]
    bars: Bars


def write(parts: Sequence[Part], folder: Path = FOLDER) -> dict[str, Any]:
    """Replace the sections of these parts in RESULTS.md. Return the figures of all parts."""
    figures = _figures(parts, folder / "results.json")
    file = folder / "RESULTS.md"
    document = file.read_text("utf-8") if file.exists() else HEAD
    sections = {"targets": summary(figures), **{part.name: part.text for part in parts}}
    for name, text in sections.items():
        document = placed(document, name, text)
    file.write_text(document, "utf-8")
    return figures


def _figures(parts: Sequence[Part], file: Path) -> dict[str, Any]:
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    new = {part.name: {"targets": [target._asdict() for target in part.targets], "bars": part.bars} for part in parts}
    figures = known | new
    file.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return figures


def summary(figures: Mapping[str, Any]) -> str:
    """Return the section with a table of the targets of all parts."""
    found = [Target.of(target) for part in figures.values() for target in part["targets"]]
    met = sum(target.met for target in found)
    rows = table(targets.HEAD, (target.row() for target in found))
    return f"## Targets\n\n{met} of {len(found)} met.\n\n{rows}"


def placed(document: str, name: str, text: str) -> str:
    """Return the document with one section replaced. A section that is not in the document is added at the end."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    new, found = re.subn(f"{begin}.*?{end}", lambda _: section, document, flags=re.DOTALL)
    return new if found else f"{document}\n{section}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with padded cells. All columns except the first are aligned to the right."""
    lines = [head, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(line, widths) for line in [lines[0], rule, *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"
