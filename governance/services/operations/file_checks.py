"""Checks files, folders and the disk for the command `doctor`. No check opens the database."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISLNK

from governance.domain.errors import NotReady
from governance.storage.sqlite.files import inspection

MIB = 1024 * 1024
LEAST_FREE = 256 * MIB
LARGEST_JOURNAL = 64 * MIB
OTHERS = 0o077
OTHERS_WRITE = 0o022


class FileChecks:
    """Checks a database file and the two files with keys. The first of `secrets` is the file of the admin key."""

    def __init__(self, path: Path, secrets: tuple[Path, Path]) -> None:
        self._path = path
        self._secrets = secrets

    def disk(self) -> str:
        """Check whether the disk has room for the database to grow."""
        path = self._path
        wanted = max(LEAST_FREE, path.stat().st_size if path.exists() else 0)
        folder = next(parent for parent in path.parents if parent.exists())
        free = shutil.disk_usage(folder).free
        if free < wanted:
            raise NotReady(f"Make room in {folder}: {size(free)} are free, at least {size(wanted)} are wanted.")
        return f"{size(free)} free, at least {size(wanted)} are wanted"

    def journal(self) -> str:
        """Check that the write-ahead log is not too large.

        The log grows while SQLite cannot copy it back to the database.
        """
        length = inspection.journal_size(self._path)
        if length > LARGEST_JOURNAL:
            raise NotReady(
                f"Restart the service: the write-ahead log has {size(length)}, and {size(LARGEST_JOURNAL)} at most is "
                "usual; a reader that never ends keeps it from being folded in."
            )
        return f"{size(length)} in the write-ahead log, at most {size(LARGEST_JOURNAL)} are usual"

    def modes(self) -> str:
        """Check that other users cannot read or write the files, and cannot create files in the folders.

        Also check that no file is a link, and that all files have the same owner.
        """
        open_folders = [folder for folder in self._folders() if folder.stat().st_mode & OTHERS_WRITE]
        if open_folders:
            raise NotReady(f"chmod 700 {_joined(open_folders)}: others may put files there.")
        found = inspection.files(self._path)
        found += [file for file in self._secrets if file.exists()]
        stats = {file: file.lstat() for file in found}
        links = [file for file, stat in stats.items() if S_ISLNK(stat.st_mode)]
        if links:
            raise NotReady(
                f"Put files in the place of {_joined(links)}: they are links, which the service does not follow."
            )
        readable = [file for file, stat in stats.items() if stat.st_mode & OTHERS]
        if readable:
            raise NotReady(f"chmod 600 {_joined(readable)}: others may read or write there.")
        owners = {stat.st_uid for stat in stats.values()}
        if len(owners) > 1:
            raise NotReady(f"Give {_joined(found)} one owner, the service's: they have several.")
        return f"{len(found)} files, for their owner alone"

    def sqlite(self) -> str:
        """Check that this version of SQLite can safely share the database with the other programs that have it open."""
        version, others = inspection.shown_version(), inspection.other_programs(self._path)
        if not inspection.has_reset_fault(inspection.SQLITE):
            return f"version {version}"
        if others:
            raise NotReady(
                f"Stop {_joined(others)}, or use SQLite 3.51.3 or newer: version {version} may ruin a file that two "
                "programs write to or checkpoint at the same moment."
            )
        return f"version {version}: safe as long as no other program (Litestream, sqlite3) has the database open"

    def _folders(self) -> list[Path]:
        folders = {self._path.parent, self._secrets[0].parent}
        return sorted(folder for folder in folders if folder.is_dir())


def _joined(files: Iterable[Path | str]) -> str:
    return " ".join(str(file) for file in files)


def size(count: int) -> str:
    """Return a number of bytes as text in the largest unit that fits, for example `1.5 MiB`."""
    for unit, least in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", 1024)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} bytes"
