"""Reading a file in a command: its warnings on standard error, and all its faults where it has any."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from governance.cli.output import print_json
from governance.cli.plans import places_json
from governance.domain.errors import FaultyFile, Misplaced
from governance.services.files import Document
from governance.web.context import governance

file_argument = click.argument("file", type=click.Path(path_type=Path))


class Reading(NamedTuple):
    """A file that is right as it stands, and what it says in vain."""

    document: Document
    warnings: list[Misplaced]


def read(file: Path, *, as_json: bool) -> Reading:
    """Read a file; a person is told its warnings at once. Raises FaultyFile."""
    files = governance().files
    document = files.read(file)
    warnings = files.cautions(document)
    if not as_json:
        for each in warnings:
            click.echo(f"Warning: {document.name}:{each.line}: {each.path}: {each.message}", err=True)
        if document.wanted.skipped:
            click.echo(f"Skipped, none of ours: {', '.join(document.wanted.skipped)}.", err=True)
    return Reading(document, warnings)


@contextmanager
def faults_listed(*, as_json: bool) -> Iterator[None]:
    """End the command with exit code 1 where a file is faulty: its faults on standard error, and as JSON."""
    try:
        yield
    except FaultyFile as error:
        if as_json:
            print_json({"file": error.file, "faults": places_json(error.faults)})
        sys.exit(error.message)
