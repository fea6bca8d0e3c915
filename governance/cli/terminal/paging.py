"""Options and output of commands that show one page of a list.

The options are the query parameters of the HTTP API. The commands check them with the same schemas as the API.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import click
from marshmallow import Schema

from governance.cli.terminal.output import note
from governance.domain.records.list_query import Page
from schemas.fields import OneOf
from schemas.loading import load

Command = TypeVar("Command", bound=Callable[..., Any])


def page_options(schema: Schema, leave_out: Collection[str] = ()) -> Callable[[Command], Command]:
    """Return a decorator that adds an option for each parameter of a query schema."""

    def add(command: Command) -> Command:
        for name in reversed([name for name in schema.fields if name not in leave_out]):
            field = schema.fields[name]
            metavar = "|".join(field.choices) if isinstance(field, OneOf) else "TEXT"
            option = click.option(f"--{name.replace('_', '-')}", metavar=metavar, help=field.metadata["description"])
            command = option(command)
        return command

    return add


def load_query(schema: Schema, given: Mapping[str, str | None]) -> Any:
    """Check and convert options with a query schema. An empty option counts as missing. Raises InvalidRequest."""
    return load(schema, {name: value for name, value in given.items() if value})


def envelope(name: str, shown: list[Any], total: int, page: Page) -> dict[str, Any]:
    """Return a page as a JSON object, as in the HTTP API."""
    return {name: shown, "total_count": total, "count": len(shown), **page._asdict()}


def note_page(shown: int, total: int, page: Page) -> None:
    """Print which part of the list a page shows, if the page is not the whole list or if the list is empty."""
    if shown < total or not total:
        part = f"{page.offset + 1} to {page.offset + shown}" if shown else "none"
        more = f"; --offset {page.offset + shown} shows more" if shown and page.offset + shown < total else ""
        note(f"Shown: {part} of {total}{more}.")
