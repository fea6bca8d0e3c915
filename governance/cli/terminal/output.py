"""Output that all commands share: `--json`, error messages on standard error, and colour on a terminal."""

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
"""The escape sequences that `click.style` writes."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
expires_option = click.option(
    "--expires",
    metavar="TIME|DURATION",
    help="A time such as 2027-01-31T00:00:00Z, or a while from now such as 90d; never, where left out.",
)

since_option = click.option(
    "--since",
    metavar="TIME|DAY|DURATION",
    help="A time, a day such as 2027-01-31, or a while before now such as 7d or 12h; 30 days before --until, at "
    "midnight, where left out.",
)
until_option = click.option(
    "--until", metavar="TIME|DAY|DURATION", help="Before this time, given in the same forms; now where left out."
)


@contextmanager
def exit_on_errors() -> Iterator[None]:
    """On an error, print the message of each fault on standard error, and end the command with exit code 1."""
    try:
        yield
    except GovernanceError as error:
        faults = error.faults if isinstance(error, InvalidRequest) else [error]
        stop(*(fault.message for fault in faults))
    except PermissionError as error:
        stop(f"Use the service's own user: {error.filename} may not be read ({error.strerror}).")
    except Exception as error:  # noqa: BLE001 - a terminal shows one line, not a traceback
        first_line = str(error).partition("\n")[0]
        stop(f"Report this fault of the service: {type(error).__name__}, {first_line}")


def stop(*sentences: str) -> NoReturn:
    """Print sentences on standard error, and end the command with exit code 1."""
    note("\n".join(sentences))
    sys.exit(1)


def print_json(value: dict[str, Any]) -> None:
    """Print a JSON object on one line. Its values may come from `schemas.render`."""
    click.echo(render.dumps(value).decode())


def say(text: str) -> None:
    """Print text on standard output.

    It is coloured only on a terminal, and only if NO_COLOR is not set (no-color.org).
    """
    shown = "".join(part if COLOURS.match(part) else _lines(part) for part in COLOURS.split(text))
    click.echo(shown, color=False if os.environ.get("NO_COLOR") else None)


def note(text: str) -> None:
    """Print an explanation on standard error, so that standard output contains only the data that a script reads."""
    click.echo(_lines(text), err=True)


def _lines(text: str) -> str:
    """Return text with its control characters escaped, except line ends."""
    return "\n".join(map(visible, text.split("\n")))
