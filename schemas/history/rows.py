"""Writes the rows of `GET /usage/history` (the usage of a group in a period) as JSON and as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from governance.domain.history.query import COLUMNS, Group, HistoryQuery, UsagePage, UsageRow
from governance.domain.history.usage import UsageAmounts
from governance.domain.limits import money
from governance.domain.times import rfc3339
from schemas.render import dollars

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""The first characters that make a spreadsheet treat a cell as a formula."""
NAMES = {Group.VIRTUAL_KEY: "virtual_key_name", Group.USER: "user_name"}
MONEY = ("cost", "overrun")


def amounts(used: UsageAmounts) -> dict[str, Any]:
    """Return sums of usage as JSON."""
    return {name: dollars(value) if name in MONEY else value for name, value in used._asdict().items()}


def row(query: HistoryQuery, page: UsagePage, found: UsageRow) -> dict[str, Any]:
    """Return a row as JSON: its period, the value (and name) of each group, for example of the user, and its usage."""
    shown: dict[str, Any] = {"start": rfc3339(found.span.start), "end": rfc3339(found.span.end)}
    for group in query.groups:
        value = getattr(found.series, COLUMNS[group])
        shown[COLUMNS[group]] = value or None
        if group in NAMES:
            shown[NAMES[group]] = page.names[group].get(value)
    return shown | amounts(found.amounts)


def csv_lines(query: HistoryQuery, pages: Iterable[UsagePage]) -> Iterator[str]:
    """Yield a CSV file in parts.

    The first line contains the names of the columns. A `'` is put before each text that a spreadsheet would treat as a
    formula.
    """
    yield _line(["start", "end", *_heads(query), *UsageAmounts._fields])
    for page in pages:
        yield "".join(_line(_cells(query, page, found)) for found in page.rows)


def _heads(query: HistoryQuery) -> Iterator[str]:
    for group in query.groups:
        yield COLUMNS[group]
        if group in NAMES:
            yield NAMES[group]


def _cells(query: HistoryQuery, page: UsagePage, found: UsageRow) -> list[str]:
    cells = [rfc3339(found.span.start), rfc3339(found.span.end)]
    for group in query.groups:
        value = getattr(found.series, COLUMNS[group])
        cells.append(_defused(value))
        if group in NAMES:
            cells.append(_defused(page.names[group].get(value, "")))
    given = found.amounts._asdict()
    return cells + [money.dollars(value) if name in MONEY else str(value) for name, value in given.items()]


def _defused(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _line(cells: list[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()
