"""Creates a new database file. Looks for files that show that there was a database before.

A new file gets its final name only when it is complete. If there was a database before, a start must not replace it
with an empty one.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from governance.domain.errors import NotReady
from governance.domain.installation import PROGRAM
from governance.storage import private_files
from governance.storage.sqlite import paths
from governance.storage.sqlite.files import marker
from governance.storage.sqlite.files.header import FileHeader, new_stamp
from governance.storage.sqlite.files.start_check import OURS, tables_of

UNFINISHED = (".new", ".part")
LEFT = (*paths.JOURNALS, paths.MARKER, paths.QUEUE)
"""The suffixes of the files that are left if only the database file was lost. The lock files that every start creates
are not among them."""
SECRETS = ("admin.key", "virtual-keys.txt")

MISSING = (
    f"The database {{}} is missing, and {{}} is of an earlier one: put the file back, run {PROGRAM} restore BACKUP, "
    f"set GOVERNANCE_DATABASE_URL right, or run {PROGRAM} init to begin with an empty one."
)


def refuse_earlier(path: Path, folders: Iterable[Path]) -> None:
    """Raise NotReady if files next to `path` or in the `folders` show that there was a database before."""
    sign = next(_signs(path, {path.parent, *folders}), None)
    if sign:
        raise NotReady(MISSING.format(path, sign))


def make(path: Path, build: Callable[[Path], object]) -> None:
    """Create a database file. `build` fills a temporary file, which is then renamed to `path`. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    _remove(new)
    try:
        os.close(private_files.create(new))
        build(new)
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA user_version = {new_stamp()}")
        private_files.sync(new)
        new.replace(path)
    except BaseException:
        _remove(new)
        raise
    private_files.sync(path.parent)


def _remove(file: Path) -> None:
    for end in ("", *paths.JOURNALS):
        paths.beside(file, end).unlink(missing_ok=True)


def is_ours(path: Path) -> bool:
    """Return whether a file is a database of this service, or a database that is too damaged to read."""
    try:
        if FileHeader.of(path) is None:
            return False
        name = f"file:{quote(str(path))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(name, uri=True)) as connection:
            return tables_of(connection) >= OURS
    except sqlite3.Error:
        return True
    except OSError:
        return False


def _signs(path: Path, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that show that there was a database before.

    These are the files that a lost database left next to `path`. In the folders, these are the files with secrets, the
    markers (see `marker.py`), and the databases of this service.
    """
    beside = (paths.beside(path, end) for end in LEFT)
    yield from (file for file in beside if os.path.lexists(file))
    for folder in sorted(folders):
        yield from (file for name in SECRETS if os.path.lexists(file := folder / name))
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            whole = not file.name.endswith(UNFINISHED)
            if whole and (_is_marker(file) or is_ours(file)):
                yield file


def _is_marker(file: Path) -> bool:
    if file.suffix != paths.MARKER:
        return False
    try:
        return marker.Marker.read(file.with_suffix("")) is not None
    except NotReady:
        return False  # the file belongs to another program; the marker next to `path` is found by its name
