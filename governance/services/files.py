"""Files with limits: reading one whole or refusing it with every fault it has, and making one of what is stored."""

import codecs
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from governance.domain import bodies, cautions
from governance.domain.errors import Fault, FaultyFile, InvalidRequest, Misplaced
from governance.domain.files import Wanted
from governance.domain.places import line_of, places, repeated
from governance.domain.references import resolve
from governance.domain.steps import Source
from governance.domain.times import Clock
from governance.services.collecting import uncollected
from governance.storage import holdings
from governance.storage.database import Database
from schemas import export, files

MAX_FILE = 64 * 1024 * 1024


class Document(NamedTuple):
    """A file that is right as it stands. Its `source` is what its rows remember."""

    name: str
    text: str
    wanted: Wanted
    source: Source

    def refusal(self, faults: Sequence[Fault]) -> FaultyFile:
        """The refusal of the file for what else was found wrong with it."""
        return FaultyFile(self.name, _placed(self.text, faults))


class Files:
    """Reads and writes files with limits."""

    def __init__(self, database: Database, clock: Clock, environment: Mapping[str, str]) -> None:
        self._database = database
        self._clock = clock
        self._environment = environment

    @uncollected()
    def read(self, path: Path, *, valued: bool = True, owner: str | None = None) -> Document:
        """What a file asks for. Asks no database. Raises FaultyFile with all its faults and warnings.

        `valued`: a value that the environment does not have is a fault, not a warning. `owner` goes before the file's
        own; where there is neither, its rows remember its base name, and its place.
        """
        name, raw = path.name, _bytes(path)
        try:
            document = bodies.read_object(raw, bodies.FILE)
        except InvalidRequest as error:
            raise FaultyFile(name, [_misread(raw, error)]) from error
        sections, faults = files.sections(document, self._environment)
        wanted, more = resolve(sections)
        found = Document(name, raw.decode(), wanted, _source(path, owner or wanted.owner))
        faults += [*more, *(Fault(*each) for each in wanted.unset if valued)]
        if faults:
            warnings = [*self.cautions(found, faults), *self.left_out(found, faults)]
            raise FaultyFile(name, _placed(found.text, faults), warnings)
        return found

    def cautions(self, document: Document, faults: Sequence[Fault] = ()) -> list[Misplaced]:
        """What a file, beside its faults, says in vain, or other than its author will think."""
        found = cautions.cautions(document.wanted, self._clock(), [fault.param or "" for fault in faults])
        return _placed(document.text, [Fault(path, sentence) for path, sentence in found])

    def left_out(self, document: Document, faults: Sequence[Fault] = ()) -> list[Misplaced]:
        """The budgets and rate limits of a file that hold for nobody here, each with the reason."""
        found = cautions.left_out(document.wanted, [fault.param or "" for fault in faults])
        return _placed(document.text, [Fault(path, sentence) for path, sentence in found])

    def export(self) -> bytes:
        """All limits, virtual keys and users in the plain form, in a fixed order; no secret is in it."""
        with self._database.read() as connection:
            return export.document(holdings.everything(connection))


def _source(path: Path, owner: str | None) -> Source:
    """The place is as it was given: a link to it may lead elsewhere tomorrow, as those of mounted files do."""
    return Source(owner, "") if owner else Source(path.name, os.path.abspath(path))  # noqa: PTH100


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise FaultyFile(path.name, [Misplaced(None, None, "Split the file: it is larger than 64 MiB.")])
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        sentence = f"Give a file that can be read: {error.strerror}."
        raise FaultyFile(path.name, [Misplaced(None, None, sentence)]) from error


def _misread(raw: bytes, error: InvalidRequest) -> Misplaced:
    """Where a file is no JSON object as we read it."""
    if error.param is not None:
        path, line = repeated(raw.decode())
        return Misplaced(line, path, error.message)
    return Misplaced(getattr(error.__cause__, "lineno", None), None, error.message)


def _placed(text: str, faults: Sequence[Fault]) -> list[Misplaced]:
    """Faults with their lines, in the order of the file."""
    if not faults:
        return []
    lines = dict(places(text))
    found = (Misplaced(line_of(fault.param or "", lines), fault.param, fault.message) for fault in faults)
    return sorted(dict.fromkeys(found), key=lambda fault: fault.line or 0)
