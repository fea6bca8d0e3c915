"""Pages of lists in a terminal: the same parameters as over HTTP, read by the same schemas."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import click
from marshmallow import Schema

from governance.cli.terminal.output import note
from governance.domain.records.pages import Page
from schemas.fields import OneOf
from schemas.loading import load

Command = TypeVar("Command", bound=Callable[..., Any])


def page_options(schema: Schema, leave_out: Collection[str] = ()) -> Callable[[Command], Command]:
    """An option for each parameter of a query; the schema reads what it is given."""

    def add(command: Command) -> Command:
        for name in reversed([name for name in schema.fields if name not in leave_out]):
            field = schema.fields[name]
            metavar = "|".join(field.choices) if isinstance(field, OneOf) else "TEXT"
            option = click.option(f"--{name.replace('_', '-')}", metavar=metavar, help=field.metadata["description"])
            command = option(command)
        return command

    return add


def asked(schema: Schema, given: Mapping[str, str | None]) -> Any:
    """What options ask for; an empty one is an absent one. Raises InvalidRequest."""
    return load(schema, {name: value for name, value in given.items() if value})


def envelope(name: str, shown: list[Any], total: int, page: Page) -> dict[str, Any]:
    """A page as one JSON object, as HTTP has it."""
    return {name: shown, "total_count": total, "count": len(shown), **page._asdict()}


def tell_page(shown: int, total: int, page: Page) -> None:
    """Say which part of a list this is, where it is not all."""
    if shown < total or not total:
        part = f"{page.offset + 1} to {page.offset + shown}" if shown else "none"
        more = f"; --offset {page.offset + shown} shows more" if shown and page.offset + shown < total else ""
        note(f"Shown: {part} of {total}{more}.")
