"""What all commands share: `--json`, and a fault as one sentence on standard error."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from governance.domain.errors import GovernanceError

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@contextmanager
def faults_told() -> Iterator[None]:
    """End the command with exit code 1 and the fault's sentence on standard error."""
    try:
        yield
    except GovernanceError as error:
        sys.exit(error.message)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on a line."""
    click.echo(json.dumps(value, ensure_ascii=False))
