"""Formats tables for a terminal. The width of a column is counted in terminal cells."""

import shutil
import sys
from collections.abc import Sequence

import click

from governance.domain.names import visible

BETWEEN = "  "


class Styled(str):
    """The text of a table cell that may contain escape sequences for colours.

    In all other cells, control characters are escaped, because stored text may contain some.
    """

    __slots__ = ()


def cells(text: str) -> int:
    """Return the number of terminal cells that a text fills.

    A wide character fills 2. Combining characters and colours fill 0.
    """
    plain = click.unstyle(text)
    if plain.isascii():
        return len(plain)
    import wcwidth  # noqa: PLC0415 - only commands need its 8 MiB of tables, but every worker imports this module

    # Measure each grapheme alone. After a virama (a sign of Indic scripts), wcwidth would join letters across a space.
    return sum(map(wcwidth.width, wcwidth.iter_graphemes(plain)))


def table(rows: Sequence[Sequence[str]], *, spare: int = 0) -> str:
    """Return rows with aligned columns. If the terminal is too narrow, up to `spare` last columns are left out."""
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
