"""What all commands share: `--json`, a fault as a sentence on standard error, and colour where a person looks."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from governance.domain.errors import GovernanceError, InvalidRequest
from schemas import render

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
    except InvalidRequest as error:
        sys.exit("\n".join(fault.message for fault in error.faults))
    except GovernanceError as error:
        sys.exit(error.message)
    except PermissionError as error:
        sys.exit(f"Use the service's own user: {error.filename} may not be read ({error.strerror}).")


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on a line; what `schemas.render` made may stand in it."""
    click.echo(render.dumps(value).decode())


def say(text: str) -> None:
    """Text for a person: in colour on a terminal alone, and never where NO_COLOR is set (no-color.org)."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def note(text: str) -> None:
    """What explains the output, on standard error: so that a script can take standard output as it is."""
    click.echo(text, err=True)
