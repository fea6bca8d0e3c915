"""What all commands share: `--json`, a fault as a sentence on standard error, and colour where a person looks."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from governance.domain.errors import GovernanceError, InvalidRequest
from governance.domain.names import visible
from schemas import render

COLOURS = re.compile("(\x1b\\[[0-9;]*m)")
"""What `click.style` writes."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
expires_option = click.option(
    "--expires",
    metavar="TIME|DURATION",
    help="A time such as 2027-01-31T00:00:00Z, or a while from now such as 90d; never, where left out.",
)


@contextmanager
def faults_told() -> Iterator[None]:
    """End the command with exit code 1 and every fault's sentence on standard error."""
    try:
        yield
    except GovernanceError as error:
        faults = error.faults if isinstance(error, InvalidRequest) else [error]
        stop(*(fault.message for fault in faults))
    except PermissionError as error:
        stop(f"Use the service's own user: {error.filename} may not be read ({error.strerror}).")


def stop(*sentences: str) -> NoReturn:
    """End the command with exit code 1."""
    note("\n".join(sentences))
    sys.exit(1)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on a line; what `schemas.render` made may stand in it."""
    click.echo(render.dumps(value).decode())


def say(text: str) -> None:
    """Text for a person: in colour on a terminal alone, and never where NO_COLOR is set (no-color.org)."""
    shown = "".join(part if COLOURS.match(part) else _lines(part) for part in COLOURS.split(text))
    click.echo(shown, color=False if os.environ.get("NO_COLOR") else None)


def note(text: str) -> None:
    """What explains the output, on standard error: so that a script can take standard output as it is."""
    click.echo(_lines(text), err=True)


def _lines(text: str) -> str:
    """Lines in which nothing is left that a terminal obeys."""
    return "\n".join(map(visible, text.split("\n")))
