"""Reads the header of a database file directly, without SQLite. Gives copies of a database a new stamp.

https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
import stat
import struct
from pathlib import Path
from typing import NamedTuple, Self

MAGIC = b"SQLite format 3\x00"
SIZE = 100
STAMP_AT = 60
LARGEST_PAGE = 65536


class FileHeader(NamedTuple):
    """The header of a database file.

    `pages` is None if the header does not contain the valid number of pages. `changes` is SQLite's file change counter.
    It rises each time the first page is changed. `stamp` is a random number in the field `user_version`. Each copy of a
    database gets a new stamp, so the stamp distinguishes a database from its backups.
    """

    page_size: int
    pages: int | None
    changes: int
    stamp: int

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Read the header of a regular file.

        Return None if the file is not an SQLite database. Raises OSError. A link also raises OSError.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            content = os.pread(descriptor, SIZE, 0) if is_file else b""
        finally:
            os.close(descriptor)
        return cls._parsed(content)

    @classmethod
    def _parsed(cls, content: bytes) -> Self | None:
        if len(content) < SIZE or not content.startswith(MAGIC):
            return None
        (page_size,) = struct.unpack_from(">H", content, 16)
        changes, pages = struct.unpack_from(">II", content, 24)
        (stamp,) = struct.unpack_from(">I", content, STAMP_AT)
        (valid_for,) = struct.unpack_from(">I", content, 92)
        size = LARGEST_PAGE if page_size == 1 else page_size
        return cls(size, pages if valid_for == changes else None, changes, stamp)


def new_stamp() -> int:
    """Return a new stamp: 31 random bits, never 0."""
    return int.from_bytes(os.urandom(4), "big") >> 1 or 1


def stamp_copy(path: Path) -> None:
    """Write a new stamp into a copy that no process has opened. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, struct.pack(">I", new_stamp()), STAMP_AT)
    finally:
        os.close(descriptor)
