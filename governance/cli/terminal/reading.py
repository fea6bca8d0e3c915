"""Reads a config file for a command, and prints its warnings and faults on standard error."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from governance.cli.terminal.output import note, print_json, stop
from governance.container import governance
from governance.domain.errors import FaultyFile, Misplaced
from governance.services.config.files import LoadedFile
from schemas.config.plans import places_json

file_argument = click.argument("file", type=click.Path(path_type=Path))


class FileReading(NamedTuple):
    """The contents of a valid file, its warnings, and its budgets and rate limits that belong to no model limit."""

    document: LoadedFile
    warnings: list[Misplaced]
    left_out: list[Misplaced]


def read(file: Path, *, as_json: bool, valued: bool = True, owner: str | None = None) -> FileReading:
    """Read a config file. If `as_json` is false, print its warnings. Raises FaultyFile.

    `Files.read` describes `valued` and `owner`.
    """
    files = governance().files
    document = files.read(file, valued=valued, owner=owner)
    reading = FileReading(document, files.cautions(document), files.left_out(document))
    if not as_json:
        if document.wanted.skipped:
            note(f"Skipped, none of ours: {', '.join(document.wanted.skipped)}.")
        _note_places("Warning", document.name, reading.warnings)
        _note_places("Left out", document.name, reading.left_out)
    return reading


def reading_json(reading: FileReading) -> dict[str, Any]:
    """Return a file's warnings, its budgets and rate limits left out, and its skipped sections and fields, as JSON."""
    document, warnings, left_out = reading
    places = {"warnings": places_json(warnings), "left_out": places_json(left_out)}
    return places | {"skipped": document.wanted.skipped}


def _note_places(what: str, file: str, places: Iterable[Misplaced]) -> None:
    for line, path, message in places:
        note(f"{what}: {file}:{line}: {path}: {message}")


@contextmanager
def exit_on_faults(*, as_json: bool) -> Iterator[None]:
    """If a file is faulty, print its warnings and faults, or JSON with both. Then end the command with exit code 1."""
    try:
        yield
    except FaultyFile as error:
        if as_json:
            found = {"faults": places_json(error.faults), "warnings": places_json(error.warnings)}
            print_json({"file": error.file} | found)
        else:
            _note_places("Warning", error.file, error.warnings)
        stop(error.message)
