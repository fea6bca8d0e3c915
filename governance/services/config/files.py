"""Files with limits: reading one whole or refusing it with every fault it has, and making one of what is stored."""

import codecs
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from governance.domain import strict_json
from governance.domain.config import lint
from governance.domain.config.entries import Wanted
from governance.domain.config.positions import line_of, places, repeated, steps_to
from governance.domain.config.references import resolve
from governance.domain.errors import Code, Fault, FaultyFile, InvalidRequest, Misplaced
from governance.domain.records.stored import NO_FILE, Source
from governance.domain.times import Clock
from governance.services.config.gc_pause import uncollected
from governance.storage import private_files
from governance.storage.config import current_state
from governance.storage.store import Database
from schemas.config import export, files
from schemas.loading import MOST_FAULTS

MAX_FILE = 64 * 1024 * 1024
MARKS = (b"{", b"[", b",")
MOST_VALUES = 2_000_000
"""A file that came over HTTP has no more values than it has marks: this bounds the memory that reading it takes."""
TOO_MANY = f"Split the file: it has more than {MOST_VALUES:,} values."
NOTHING = Wanted((), (), (), (), (), (), ())


class Document(NamedTuple):
    """A file that is right as it stands. Its `source` is what its rows remember."""

    name: str
    text: str
    wanted: Wanted
    source: Source

    @property
    def actor(self) -> str:
        """On whose behalf a sync of it is done."""
        return f"file:{self.source.name}"

    def refusal(self, faults: Sequence[Fault]) -> FaultyFile:
        """The refusal of the file for what else was found wrong with it."""
        return FaultyFile(self.name, _placed(self.text, faults))


class Files:
    """Reads and writes files with limits."""

    def __init__(self, database: Database, clock: Clock, environment: Mapping[str, str]) -> None:
        self._database = database
        self._clock = clock
        self._environment = environment

    def read(self, path: Path, *, valued: bool = True, owner: str | None = None) -> Document:
        """What a file asks for. Asks no database. Raises FaultyFile with all its faults and warnings.

        `valued`: a value that the environment does not have is a fault, not a warning. `owner` goes before the file's
        own; where there is neither, its rows remember its base name, and its place.
        """
        with uncollected():
            return self._document(path.name, _bytes(path), lambda own: _source(path, owner or own), valued=valued)

    def received(self, raw: bytes, owner: str | None) -> Document:
        """What a file asks for that came over HTTP: without an owner, its rows are nobody's. Raises FaultyFile.

        No value is taken from the environment, which a caller could ask for secrets; and no more faults are told than
        of any other body.
        """
        most, raw = MOST_FAULTS, raw.removeprefix(codecs.BOM_UTF8)
        if sum(map(raw.count, MARKS)) > MOST_VALUES:
            raise InvalidRequest(TOO_MANY, code=Code.BODY_TOO_LARGE)
        try:
            return self._document("the file", raw, lambda own: _named(owner or own), most=most)
        except FaultyFile as error:
            raise FaultyFile(error.file, error.faults[:most], code=error.code) from error

    def _document(
        self,
        name: str,
        raw: bytes,
        source: Callable[[str | None], Source],
        *,
        valued: bool = True,
        most: int | None = None,
    ) -> Document:
        """What the bytes of a file ask for; `most`: they came over HTTP, and no more faults need be found."""
        try:
            document = strict_json.read_object(raw, strict_json.FILE)
        except InvalidRequest as error:
            raise FaultyFile(name, [_misread(raw, error)], code=Code.INVALID_BODY) from error
        sections, faults = files.sections(document, self._environment if most is None else None, most)
        wanted, more = resolve(sections) if most is None or len(faults) < most else (NOTHING, [])
        found = Document(name, raw.decode(), wanted, source(wanted.owner))
        faults += [*more, *(Fault(*each) for each in wanted.unset if valued)]
        if faults:
            warnings = [] if most else [*self.cautions(found, faults), *self.left_out(found, faults)]
            raise FaultyFile(name, _placed(found.text, faults[:most]), warnings)
        return found

    def cautions(self, document: Document, faults: Sequence[Fault] = ()) -> list[Misplaced]:
        """What a file, beside its faults, says in vain, or other than its author will think."""
        found = lint.cautions(document.wanted, self._clock(), [fault.param or "" for fault in faults])
        return _placed(document.text, [Fault(path, sentence) for path, sentence in found])

    def left_out(self, document: Document, faults: Sequence[Fault] = ()) -> list[Misplaced]:
        """The budgets and rate limits of a file that hold for nobody here, each with the reason."""
        found = lint.left_out(document.wanted, [fault.param or "" for fault in faults])
        return _placed(document.text, [Fault(path, sentence) for path, sentence in found])

    def export(self) -> bytes:
        """All limits, virtual keys and users in the plain form, in a fixed order; no secret is in it."""
        with self._database.read() as connection:
            return export.document(current_state.everything(connection))

    def export_to(self, target: Path) -> None:
        """The same into a file for its owner alone, whole or not at all. Raises OSError."""
        private_files.replace(target, self.export())


def _named(owner: str | None) -> Source:
    return Source(owner, "") if owner else NO_FILE


def _source(path: Path, owner: str | None) -> Source:
    """The place is as it was given: a link to it may lead elsewhere tomorrow, as those of mounted files do."""
    return Source(owner, "") if owner else Source(path.name, os.path.abspath(path))  # noqa: PTH100


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise FaultyFile(path.name, [Misplaced(None, None, "Split the file: it is larger than 64 MiB.")])
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        sentence = f"Give a file that can be read: {os.path.abspath(path)}, {error.strerror}."  # noqa: PTH100
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
    wanted = {step for fault in faults for step in steps_to(fault.param or "")}
    lines = {path: line for path, line in places(text) if path in wanted}
    found = (Misplaced(line_of(fault.param or "", lines), fault.param or None, fault.message) for fault in faults)
    return sorted(dict.fromkeys(found), key=lambda fault: fault.line or 0)
