"""Reading a file in a command: what it says in vain on standard error, and all its faults where it has any."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from governance.cli.terminal.output import note, print_json, stop
from governance.container import governance
from governance.domain.errors import FaultyFile, Misplaced
from governance.services.config.files import Document
from schemas.config.plans import places_json

file_argument = click.argument("file", type=click.Path(path_type=Path))


class Reading(NamedTuple):
    """A file that is right as it stands, what it says in vain, and which of its rules hold for nobody here."""

    document: Document
    warnings: list[Misplaced]
    left_out: list[Misplaced]


def read(file: Path, *, as_json: bool, valued: bool = True, owner: str | None = None) -> Reading:
    """Read a file; a person is told its warnings at once. Raises FaultyFile. `valued`, `owner`: see `Files.read`."""
    files = governance().files
    document = files.read(file, valued=valued, owner=owner)
    reading = Reading(document, files.cautions(document), files.left_out(document))
    if not as_json:
        if document.wanted.skipped:
            note(f"Skipped, none of ours: {', '.join(document.wanted.skipped)}.")
        _tell("Warning", document.name, reading.warnings)
        _tell("Left out", document.name, reading.left_out)
    return reading


def told_json(reading: Reading) -> dict[str, Any]:
    """What is said of a file beside its faults, as JSON."""
    document, warnings, left_out = reading
    places = {"warnings": places_json(warnings), "left_out": places_json(left_out)}
    return places | {"skipped": document.wanted.skipped}


def _tell(what: str, file: str, found: Iterable[Misplaced]) -> None:
    for line, path, message in found:
        note(f"{what}: {file}:{line}: {path}: {message}")


@contextmanager
def faults_listed(*, as_json: bool) -> Iterator[None]:
    """End the command with exit code 1 where a file is faulty: warnings and faults on standard error, or as JSON."""
    try:
        yield
    except FaultyFile as error:
        if as_json:
            found = {"faults": places_json(error.faults), "warnings": places_json(error.warnings)}
            print_json({"file": error.file} | found)
        else:
            _tell("Warning", error.file, error.warnings)
        stop(error.message)
