"""Finds the tables and columns of Bifrost's database that may contain limits, but that the import does not read.

Bifrost is an LLM gateway. The report of the import lists these tables and columns as not imported.
"""

import re
from collections.abc import Iterator, Mapping
from sqlite3 import Connection

from sqlalchemy import ColumnElement, column, func, literal_column, or_, select, table

from governance.domain.bifrost.rows import BifrostReference, UnreadColumn

Columns = Mapping[str, set[str]]
"""Column names by table."""

CAPS = re.compile("budget|limit|quota|spend")
"""Matches the names of tables and columns that may contain limits."""
OF_CAPS = ("governance_model_configs", "governance_budgets", "governance_rate_limits")
"""The tables in which an unknown column may change the meaning of a limit."""
REFERENCES = ("budget_id", "rate_limit_id")
COVERED = {
    "governance_budgets": {"override_cycles_remaining", "override_cycles_total", "override_anchor_reset"},
}
"""Columns that are not listed as unread.

They belong to an override of a budget, about which the report has a remark of its own.
"""


def references(connection: Connection, known: Columns, rest: Columns) -> Iterator[BifrostReference]:
    """Yield the references to budgets and rate limits in tables that are not read."""
    for name in sorted(rest.keys() - known.keys()):
        for wanted in REFERENCES:
            if wanted in rest[name]:
                named: ColumnElement[object] = column(wanted)
                there = select(named).select_from(table(name)).where(named.is_not(None)).distinct()
                yield from (BifrostReference(name, wanted, row[0]) for row in connection.execute(str(there)))


def unread(connection: Connection, known: Columns, rest: Columns) -> Iterator[UnreadColumn]:
    """Yield the columns and tables that are not read and may contain limits, if any row has a value in them."""
    for name in sorted(rest):
        whole = name not in known and CAPS.search(name) is not None
        for wanted in [None] if whole else sorted(_suspects(name, known, rest)):
            rows = _filled(connection, name, wanted)
            if rows:
                yield UnreadColumn(name, wanted, rows)


def _suspects(name: str, known: Columns, rest: Columns) -> set[str]:
    others = rest[name] - known.get(name, set()) - COVERED.get(name, set())
    return {each for each in others if name in OF_CAPS or CAPS.search(each)}


def _filled(connection: Connection, name: str, wanted: str | None) -> int:
    """Return the number of rows in a table that have a value in the column `wanted`, or of all rows if it is None.

    NULL, 0, empty text and empty JSON do not count as values.
    """
    count = select(func.count()).select_from(table(name))
    if wanted is not None:
        nothing = or_(*(column(wanted) == literal_column(empty) for empty in ("''", "0", "'[]'", "'{}'", "'null'")))
        count = count.where(column(wanted).is_not(None), ~nothing)
    return int(connection.execute(str(count)).fetchone()[0])
