"""Finds out where an operator can get a valid admin key, for the message after the start and the command `doctor`."""

from enum import StrEnum
from pathlib import Path

from governance.domain import keys
from governance.domain.installation import PROGRAM
from governance.domain.keys import KeyScope
from governance.storage.keys import api_keys
from governance.storage.store import Database

NEW_KEY = f"{PROGRAM} keys create admin --scope admin"


class AdminKey(StrEnum):
    """The place where an operator finds an admin key."""

    NONE = "none is stored"
    IN_FILE = "the key in the file counts"
    WITHOUT_FILE = "one is stored, the file is gone"
    NOT_IN_FILE = "one is stored, the key in the file does not count"


def find(database: Database, file: Path, now: int) -> AdminKey:
    """Return whether a valid admin key is stored in the database, and whether the file contains one.

    Raises Unavailable if the database is busy, and OSError if the file cannot be read.
    """
    secret = file.read_text(errors="replace").strip() if file.exists() else None
    with database.read() as connection:
        key = None if secret is None else api_keys.by_digest(connection, keys.digest(secret))
        any_admin = api_keys.any_may(connection, KeyScope.ADMIN, now)
    if not any_admin:
        return AdminKey.NONE
    if secret is None:
        return AdminKey.WITHOUT_FILE
    return AdminKey.IN_FILE if key and key.live(now) and key.may(KeyScope.ADMIN) else AdminKey.NOT_IN_FILE
