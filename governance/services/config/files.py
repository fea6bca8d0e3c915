"""Reads a config file, or refuses it with all its faults. Exports the stored rows as a config file."""

import codecs
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from governance.domain import strict_json
from governance.domain.config import lint
from governance.domain.config.entries import Wanted
from governance.domain.config.positions import line_of, positions, repeated, steps_to
from governance.domain.config.references import resolve
from governance.domain.errors import Code, Fault, FaultyFile, InvalidRequest, Misplaced
from governance.domain.gc_pause import pause_gc
from governance.domain.records.stored import NO_FILE, Source
from governance.domain.times import Clock
from governance.storage import private_files
from governance.storage.config import current_state
from governance.storage.store import Database
from schemas.config import export, files
from schemas.loading import MOST_FAULTS

MAX_FILE = 64 * 1024 * 1024
MARKS = (b"{", b"[", b",")
MOST_VALUES = 2_000_000
"""The largest number of values that a file may contain if it is sent over HTTP.

This limits the memory that the reader needs. The number of values is estimated by counting the MARKS in the file.
"""
TOO_MANY = f"Split the file: it has more than {MOST_VALUES:,} values."
NOTHING = Wanted((), (), (), (), (), (), (), ())


class LoadedFile(NamedTuple):
    """A config file without faults. `source` is stored with its rows."""

    name: str
    text: str
    wanted: Wanted
    source: Source

    @property
    def actor(self) -> str:
        """The name under which the audit log records a sync of the file."""
        return f"file:{self.source.name}"

    def refusal(self, faults: Sequence[Fault]) -> FaultyFile:
        """Build the error for faults that were found after the file had been read."""
        return FaultyFile(self.name, _with_lines(self.text, faults))


class Files:
    """Reads and writes config files."""

    def __init__(self, database: Database, clock: Clock, environment: Mapping[str, str]) -> None:
        self._database = database
        self._clock = clock
        self._environment = environment

    def read(self, path: Path, *, valued: bool = True, owner: str | None = None) -> LoadedFile:
        """Read a file without using the database.

        Raises FaultyFile with all its faults and warnings. A value may refer to an environment variable that is not
        set. If `valued` is true, this is a fault. Otherwise it is a warning. `owner` replaces the owner that the file
        names. If there is neither, the source contains the file's base name and its path.
        """
        with pause_gc():
            return self._document(path.name, _bytes(path), lambda own: _file_source(path, owner or own), valued=valued)

    def received(self, raw: bytes, owner: str | None) -> LoadedFile:
        """Read a file that was sent over HTTP.

        Without an owner, its rows have no source. Raises FaultyFile. The environment is not read, because a caller
        could use it to read secrets. The number of reported faults is limited as for any other body.
        """
        most, raw = MOST_FAULTS, raw.removeprefix(codecs.BOM_UTF8)
        if sum(map(raw.count, MARKS)) > MOST_VALUES:
            raise InvalidRequest(TOO_MANY, code=Code.BODY_TOO_LARGE)
        try:
            return self._document("the file", raw, lambda own: _named_source(owner or own), most=most)
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
    ) -> LoadedFile:
        """Read the bytes of a file. `most` is given only for HTTP: the reader stops after this many faults."""
        try:
            document = strict_json.read_object(raw, strict_json.FILE)
        except InvalidRequest as error:
            raise FaultyFile(name, [_syntax_fault(raw, error)], code=Code.INVALID_BODY) from error
        sections, faults = files.sections(document, self._environment if most is None else None, most)
        wanted, more = resolve(sections) if most is None or len(faults) < most else (NOTHING, [])
        file = LoadedFile(name, raw.decode(), wanted, source(wanted.owner))
        faults += [*more, *(Fault(*each) for each in wanted.unset if valued)]
        if faults:
            warnings = [] if most else [*self.cautions(file, faults), *self.left_out(file, faults)]
            raise FaultyFile(name, _with_lines(file.text, faults[:most]), warnings)
        return file

    def cautions(self, document: LoadedFile, faults: Sequence[Fault] = ()) -> list[Misplaced]:
        """Return the warnings about a file: entries without effect, or with an effect that the author may not want."""
        warnings = lint.lint(document.wanted, self._clock(), [fault.param or "" for fault in faults])
        return _with_lines(document.text, [Fault(path, sentence) for path, sentence in warnings])

    def left_out(self, document: LoadedFile, faults: Sequence[Fault] = ()) -> list[Misplaced]:
        """Return the budgets and rate limits in a file that belong to no limit here, each with the reason."""
        items = lint.left_out(document.wanted, [fault.param or "" for fault in faults])
        return _with_lines(document.text, [Fault(path, sentence) for path, sentence in items])

    def export(self) -> bytes:
        """Return all rows that a file can contain, in the plain form of a file.

        The order is fixed, and secrets are left out.
        """
        with self._database.read() as connection:
            return export.document(current_state.current_state(connection))

    def export_to(self, target: Path) -> None:
        """Write the export to a file that only its owner may read, atomically. Raises OSError."""
        private_files.replace(target, self.export())


def _named_source(owner: str | None) -> Source:
    return Source(owner, "") if owner else NO_FILE


def _file_source(path: Path, owner: str | None) -> Source:
    """Return the source of a file.

    Symbolic links in its path are not resolved, because links to mounted files change with each version.
    """
    return Source(owner, "") if owner else Source(path.name, os.path.abspath(path))  # noqa: PTH100


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise FaultyFile(path.name, [Misplaced(None, None, "Split the file: it is larger than 64 MiB.")])
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        sentence = f"Give a file that can be read: {os.path.abspath(path)}, {error.strerror}."  # noqa: PTH100
        raise FaultyFile(path.name, [Misplaced(None, None, sentence)]) from error


def _syntax_fault(raw: bytes, error: InvalidRequest) -> Misplaced:
    """Build the fault, with its line, for a file that is not valid JSON."""
    if error.param is not None:
        path, line = repeated(raw.decode())
        return Misplaced(line, path, error.message)
    return Misplaced(getattr(error.__cause__, "lineno", None), None, error.message)


def _with_lines(text: str, faults: Sequence[Fault]) -> list[Misplaced]:
    """Return the faults with their lines, in the order of the lines."""
    if not faults:
        return []
    wanted = {step for fault in faults for step in steps_to(fault.param or "")}
    lines = {path: line for path, line in positions(text) if path in wanted}
    placed = (Misplaced(line_of(fault.param or "", lines), fault.param or None, fault.message) for fault in faults)
    return sorted(dict.fromkeys(placed), key=lambda fault: fault.line or 0)
