"""Turns errors of the disk and of SQLite into messages of one line, which also say what to do if possible."""

from pathlib import Path

from governance.domain.errors import NotReady

ADVICE = {
    "disk is full": "Make room on its disk",
    "no space left": "Make room on its disk",
    "quota exceeded": "Make room on its disk",
    "symbolic links": "Remove the link, which is not followed",
    "read-only file system": "Put it on a disk that can be written to",
    "permission denied": "Use the service's own user, or give that the folder",
    "is locked": "End what has it open",
    "unable to open": "Look at the rights of its folder, and at links or folders in the place of its journal",
}


def unusable(path: Path, error: BaseException) -> NotReady:
    """Return an error whose one-line message says why a database cannot be used, and, if possible, what to do."""
    cause = str(getattr(error, "orig", None) or error).splitlines()[0]
    advice = next((advice for words, advice in ADVICE.items() if words in cause.lower()), None)
    if advice is None:
        return NotReady(f"The database {path} cannot be used: {cause}.")
    return NotReady(f"{advice}: the database {path} cannot be used, {cause}.")
