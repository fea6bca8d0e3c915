"""Reads one page of a list of virtual keys, users, API keys or price overrides, or reads rows by their ids."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, func, select
from sqlalchemy.engine import Connection, Row

from governance.domain.records.list_query import Page
from governance.storage.functions import contains


def page(  # noqa: PLR0917 - a table, the query, and the page
    connection: Connection,
    table: Table,
    columns: Sequence[Column[Any]],
    wanted: Page,
    search: str = "",
    conditions: Sequence[ColumnElement[bool]] = (),
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of the rows that match, newest first, and the number of all rows that match.

    A row matches if it meets the `conditions` and its folded name contains `search`. Folded means normalized and in
    lower case (see `fold` in `domain/names.py`). `search` must be folded.
    """
    matches = [*conditions, *([contains(table.c.search_name, search)] if search else [])]
    total = connection.execute(select(func.count()).select_from(table).where(*matches)).scalar_one()
    rows = connection.execute(
        select(*columns)
        .where(*matches)
        .order_by(table.c.created_at.desc(), table.c.id.desc())
        .limit(wanted.limit)
        .offset(wanted.offset)
    ).all()
    return rows, total


def by_ids(connection: Connection, columns: Sequence[Column[Any]], ids: Sequence[str]) -> Sequence[Row[Any]]:
    """Return the rows with these ids. The first of the `columns` must be the id."""
    return connection.execute(select(*columns).where(columns[0].in_(ids))).all()
