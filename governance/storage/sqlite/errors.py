"""Translates errors of SQLite into errors of this service.

Unavailable tells the caller to try again later. Conflict tells the caller to read the data again, because another
request has changed the data. Any other error is a fault of our code, and is raised unchanged.
"""

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from governance.domain.errors import Code, Conflict, Unavailable
from governance.domain.installation import PROGRAM

logger = logging.getLogger("governance.storage")

JUST_STORED = "Look the list up again: another request has just stored {}."
UNIQUE = {
    "model_limits.scope, model_limits.scope_id, model_limits.match_provider, model_limits.match_name": (
        "a limit on the same model, provider and scope"
    ),
    "model_limits.id": "a limit with the same id",
    "rules.id, rules.metric": "a budget or a rate limit with the same id",
    "virtual_keys.id": "a virtual key with the same id",
    "virtual_keys.name": "a virtual key with the same name",
    "virtual_keys.digest": "a virtual key with the same value",
    "users.id": "a user with the same id",
}
"""Unique constraints that fail if another request has just stored the same row. The keys are the columns that SQLite's
message names. The failure of any other unique constraint is a fault of our code."""
JUST_DELETED = "Look the list up again: another request has just deleted {}."
PARENTS = {
    "rules": "the limit of this budget or rate limit",
    "counters": "the rule that this usage belongs to",
    "denials": "the limit that refused these calls",
}
"""Rows that another request may have deleted in the meantime. The keys are the tables that refer to these rows."""
TABLE = re.compile(r"\b(?:INTO|UPDATE|FROM)\s+(\w+)", re.IGNORECASE)
PRIMARY = 0xFF
"""The mask that reduces an extended error code of SQLite to its primary code."""
FAULTS_OF_A_STATEMENT = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_MISUSE,
    }
)
LOST = ("no such table", "closed database")
"""Parts of the messages of errors that SQLite reports as faults of a statement. Their cause is a lost database file."""


@contextmanager
def raised_for_callers(path: Path) -> Iterator[None]:
    """Raise Unavailable if the database has a problem, and Conflict if another request was faster.

    The original error is the `__cause__` of the new error. The error of a faulty statement is raised unchanged. It is
    also logged if SQLAlchemy ran the statement.
    """
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        if isinstance(cause, sqlite3.Error) and not is_trouble(cause):
            _refuse_race(error)
            logger.error("a statement on the table %s failed: %s", _table(error), cause)  # noqa: TRY400 - its caller logs the rest
            raise
        raise unavailable(error, path) from error
    except sqlite3.Error as error:
        if not is_trouble(error):
            raise
        raise unavailable(error, path) from error
    except (DisconnectionError, PoolTimeoutError, OSError) as error:
        raise unavailable(error, path) from error


def is_trouble(error: Exception) -> bool:
    """Return whether the error is about the whole database, not only about one statement or its values."""
    if not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)
    return code & PRIMARY not in FAULTS_OF_A_STATEMENT or any(words in str(error) for words in LOST)


def unavailable(error: BaseException, path: Path) -> Unavailable:
    """Return the Unavailable that describes an error of the database.

    If the message names the database file, the name is without its folder.
    """
    text = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error).lower()
    reasons = {
        "locked": "another process holds its lock",
        "busy": "another process holds its lock",
        "disk is full": "the disk is full",
        "readonly": "it is read-only",
        "malformed": "the file is corrupt; restore a backup",
        "not a database": "the file is no SQLite database; restore a backup",
        "symbolic links": f"a link lies beside {path.name}, and is not followed; run {PROGRAM} doctor",
        "unable to open": f"{path.name} cannot be opened",
        "no such file": f"{path.name} is missing; restore a backup",
        "no such table": "its tables are missing; restore a backup",
        "queuepool limit": "all its connections are busy",
    }
    reason = next((words for key, words in reasons.items() if key in text), "it failed")
    return Unavailable(f"Try again shortly: the database cannot answer, {reason}.", code=Code.DATABASE_UNAVAILABLE)


def _refuse_race(error: DBAPIError) -> None:
    """Raise Conflict if another request may have caused the constraint violation."""
    kind, _, columns = str(error.orig).partition(" constraint failed")
    stored, deleted = UNIQUE.get(columns.removeprefix(": ")), PARENTS.get(_table(error))
    if kind == "UNIQUE" and stored:
        raise Conflict(JUST_STORED.format(stored)) from error
    if kind == "FOREIGN KEY" and deleted:
        raise Conflict(JUST_DELETED.format(deleted)) from error


def _table(error: DBAPIError) -> str:
    found = TABLE.search(error.statement or "")
    return found[1] if found else "?"
