"""Reads a config file, or refuses the file with a list of all its faults. Exports the stored rows as a config file.

A config file contains limits, virtual keys, users and prices. The database stores, with each row that a file created,
the source of the row: the owner of the file and the path of the file.
"""

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

This limits the memory that is needed to read the file. The number of values is estimated by counting the MARKS in the
file.
"""
TOO_MANY = f"Split the file: it has more than {MOST_VALUES:,} values."
NOTHING = Wanted((), (), (), (), (), (), (), ())


class LoadedFile(NamedTuple):
    """A config file without faults. `source` is stored with the rows that the file creates."""

    name: str
    text: str
    wanted: Wanted
    source: Source

    @property
    def actor(self) -> str:
        """The name under which the audit log records a sync of the file."""
        return f"file:{self.source.name}"

    def refusal(self, faults: Sequence[Fault]) -> FaultyFile:
        """Build the error for faults that are found after the file has been read."""
        return FaultyFile(self.name, _with_lines(self.text, faults))


class Files:
    """Reads and writes config files."""

    def __init__(self, database: Database, clock: Clock, environment: Mapping[str, str]) -> None:
        self._database = database
        self._clock = clock
        self._environment = environment

    def read(self, path: Path, *, valued: bool = True, owner: str | None = None) -> LoadedFile:
        """Read a file without using the database.

        Raises FaultyFile with all faults and warnings of the file. A value in the file may refer to an environment
        variable that is not set. If `valued` is true, this is a fault. Otherwise it is a warning. `owner` replaces the
        owner that the file names. If no owner is given, the source contains the base name and the path of the file.
        """
        with pause_gc():
            return self._document(path.name, _bytes(path), lambda own: _file_source(path, owner or own), valued=valued)

    def received(self, raw: bytes, owner: str | None) -> LoadedFile:
        """Read a file that was sent over HTTP.

        If no owner is given, the rows of the file have no source. Environment variables are not read, because a caller
        could use them to read secrets. The number of reported faults is limited, as for every other request body.
        Raises FaultyFile, and InvalidRequest if the file contains too many values.
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
        """Read a file from its bytes. `most` is the largest number of faults to report, for a file sent over HTTP."""
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
        """Return warnings about entries of a file that have no effect, or an effect that the author may not want."""
        warnings = lint.lint(document.wanted, self._clock(), [fault.param or "" for fault in faults])
        return _with_lines(document.text, [Fault(path, sentence) for path, sentence in warnings])

    def left_out(self, document: LoadedFile, faults: Sequence[Fault] = ()) -> list[Misplaced]:
        """Return the budgets and rate limits in a file that belong to no limit, each with the reason."""
        items = lint.left_out(document.wanted, [fault.param or "" for fault in faults])
        return _with_lines(document.text, [Fault(path, sentence) for path, sentence in items])

    def export(self) -> bytes:
        """Return a config file (JSON) with all stored rows that a config file can contain.

        The order of the rows is fixed, and secrets are left out.
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

    Symbolic links in the path are not resolved. A mounted file may be a symbolic link whose target changes with each
    version of the file, and the path must stay the same.
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
    """Build the fault for a file that is not valid JSON, with the line of the error."""
    if error.param is not None:
        path, line = repeated(raw.decode())
        return Misplaced(line, path, error.message)
    return Misplaced(getattr(error.__cause__, "lineno", None), None, error.message)


def _with_lines(text: str, faults: Sequence[Fault]) -> list[Misplaced]:
    """Return the faults with the numbers of their lines, sorted by line."""
    if not faults:
        return []
    wanted = {step for fault in faults for step in steps_to(fault.param or "")}
    lines = {path: line for path, line in positions(text) if path in wanted}
    placed = (Misplaced(line_of(fault.param or "", lines), fault.param or None, fault.message) for fault in faults)
    return sorted(dict.fromkeys(placed), key=lambda fault: fault.line or 0)
