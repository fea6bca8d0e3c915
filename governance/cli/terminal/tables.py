"""Tables for a terminal: columns as wide as what they show, counted in the cells that it takes there."""

import shutil
import sys
from collections.abc import Sequence

import click

from governance.domain.names import visible

BETWEEN = "  "


class Styled(str):
    """A cell with colours of ours. Every other cell is escaped: what is stored may hold what a terminal obeys."""

    __slots__ = ()


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: wide characters two, combining ones and colours none."""
    plain = click.unstyle(text)
    if plain.isascii():
        return len(plain)
    import wcwidth  # noqa: PLC0415 - 8 MiB of tables; every worker imports this module, and only commands need them

    return sum(map(wcwidth.width, wcwidth.iter_graphemes(plain)))  # in one go, a virama would act beyond a space


def table(rows: Sequence[Sequence[str]], *, spare: int = 0) -> str:
    """Rows, aligned. The last `spare` columns are left out where a terminal is too narrow for them."""
    rows = [[cell if isinstance(cell, Styled) else visible(cell) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    shown = len(widths)
    while shown > len(widths) - spare and _total(widths[:shown]) > _room():
        shown -= 1
    return "\n".join(_line(row[:shown], widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (text + " " * (width - cells(text)) for text, width in zip(row, widths, strict=False))
    return BETWEEN.join(padded).rstrip()


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(BETWEEN) * (len(widths) - 1)


def _room() -> float:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else float("inf")
