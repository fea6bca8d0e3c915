"""Reading a file in a command: what it says in vain on standard error, and all its faults where it has any."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from governance.cli.output import note, print_json, stop
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
    reading = Reading(document, files.cautions(document))
    if not as_json:
        for line in _remarks(reading):
            note(line)
    return reading


def _remarks(reading: Reading) -> Iterator[str]:
    document, warnings = reading
    if document.wanted.skipped:
        yield f"Skipped, none of ours: {', '.join(document.wanted.skipped)}."
    for line, path, message in warnings:
        yield f"Warning: {document.name}:{line}: {path}: {message}"


@contextmanager
def faults_listed(*, as_json: bool) -> Iterator[None]:
    """End the command with exit code 1 where a file is faulty: its faults on standard error, and as JSON."""
    try:
        yield
    except FaultyFile as error:
        if as_json:
            print_json({"file": error.file, "faults": places_json(error.faults)})
        stop(error.message)
