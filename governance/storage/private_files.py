"""Creates, writes and locks files that only their owner can read.

Files are never created, read or written through a symbolic link. `write_new` and `replace` write a file either
completely or not at all. The mode of a new file does not depend on the umask. If root creates a file, the owner of its
folder becomes its owner, so that the service's user can use the file.
"""

import fcntl
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

logger = logging.getLogger("governance.storage")

FILE_MODE = 0o600
FOLDER_MODE = 0o700
LARGEST_READ = 1024 * 1024
TELL_AFTER = 1.0
LOOK_AGAIN = 0.02
"""The number of seconds between two attempts to take a lock."""


class LockTimeoutError(TimeoutError):
    """A lock was not free in time. The message names the process that holds the lock."""


def make_folder(path: Path) -> None:
    """Create a folder and its parents if they are missing. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(FOLDER_MODE)
        path.chmod(FOLDER_MODE)
        _give(path, path.parent)


def create(path: Path, flags: int = os.O_WRONLY) -> int:
    """Create a file and return its descriptor. Raises FileExistsError if there is a file or a link at the path."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    _give(descriptor, path.parent)
    return descriptor


def open_or_create(path: Path, flags: int = os.O_RDWR) -> int:
    """Return the descriptor of a regular file. Create the file if it is missing.

    If other users may use the file, take their access rights away. Raises OSError for a link or a folder.
    """
    while True:
        try:
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            break
        except FileNotFoundError:
            with suppress(FileExistsError):
                return create(path, flags)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no file")
    if stat.S_IMODE(found.st_mode) & ~FILE_MODE:
        with suppress(PermissionError):  # if the file belongs to another user, only that user may change the mode
            os.fchmod(descriptor, FILE_MODE)
    return descriptor


def close_to_others(path: Path) -> None:
    """Take away the access rights that other users have to a file. Raises OSError for a link or a folder."""
    os.close(open_or_create(path, os.O_RDONLY))


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR) -> Iterator[int]:
    """Open a file as `open_or_create` does. Close it after the block."""
    descriptor = open_or_create(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """Return the content of a file, at most its first MiB. Raises OSError, also for a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LARGEST_READ)


def write_new(path: Path, content: bytes) -> None:
    """Write a new file atomically. Create its folder if it is missing. Raises FileExistsError, OSError."""
    make_folder(path.parent)
    with beside(path) as part:
        fill(part, content)
        move_new(part, path)
    sync(path.parent)


def append(path: Path, content: bytes) -> None:
    """Append to a file. Create it and its folder if they are missing. Raises OSError."""
    make_folder(path.parent)
    with opened(path, os.O_WRONLY | os.O_APPEND) as descriptor:
        _write(descriptor, content)
    sync(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Replace a file atomically. Raises OSError."""
    with beside(path) as part:
        fill(part, content)
        part.replace(path)
    sync(path.parent)


def fill(path: Path, content: bytes) -> None:
    """Write into an existing file and fsync it. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _write(descriptor, content)
    finally:
        os.close(descriptor)


def move_new(file: Path, path: Path) -> None:
    """Give a file the name `path`, which must not exist yet. Raises FileExistsError, OSError.

    The old name may still exist afterwards.
    """
    try:
        os.link(file, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        file.replace(path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Create an empty temporary file in the folder of `path`, and yield its path.

    The caller fills the file and renames it to `path`. If the caller does not rename the file, it is deleted after the
    block.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    os.close(create(part))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file to the disk. For a folder, flush the names of its files. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock on a file during the block. Raises OSError.

    Raises LockTimeoutError if the lock is not free within `patience` seconds.
    """
    with opened(path) as descriptor:
        lock_within(descriptor, path, fcntl.LOCK_EX, patience)
        yield


def lock_within(descriptor: int, path: Path, kind: int, patience: float) -> None:
    """Take a lock on an open file. `kind` is `fcntl.LOCK_EX` or `fcntl.LOCK_SH`.

    Raises LockTimeoutError if the lock is not free within `patience` seconds. After one second of waiting, the log
    names the process that holds the lock.
    """
    begun, told = monotonic(), False
    while not try_lock(descriptor, kind):
        waited = monotonic() - begun
        if waited >= patience:
            raise LockTimeoutError(f"{holder(descriptor)} holds the lock {path}: wait for its end, or end it")
        if waited >= TELL_AFTER and not told:
            told = True
            logger.warning("waiting for the lock %s, at most %d s: %s holds it", path, patience, holder(descriptor))
        sleep(LOOK_AGAIN)


def try_lock(descriptor: int, kind: int) -> bool:
    """Try to take a lock without waiting. Return whether it was taken."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(descriptor: int) -> str:
    """Return the name of the process that holds the lock on an open file, for example `process 123 (gunicorn)`.

    The name is known only on Linux. If it is not known, return `another process`.
    """
    inode = str(os.fstat(descriptor).st_ino)
    with suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if "->" not in words and words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and words[4] != "0":
                return f"process {words[4]}{_command(words[4])}"
    return "another process"


def _command(pid: str) -> str:
    with suppress(OSError):
        return f" ({Path('/proc', pid, 'comm').read_text().strip()})"
    return ""


def _write(descriptor: int, content: bytes) -> None:
    """Write all bytes and flush them to the disk."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _give(made: int | Path, folder: Path) -> None:
    """If root has created a file or folder, change its owner to the owner of the folder that contains it."""
    if os.geteuid() == 0:
        found = folder.stat()
        with suppress(PermissionError):  # in some containers, root may not change the owner
            os.chown(made, found.st_uid, found.st_gid)
