"""The names of the files next to a database file. Each name is the database's name with a suffix."""

from pathlib import Path

WAL, SHM, JOURNAL = "-wal", "-shm", "-journal"
JOURNALS = (WAL, SHM, JOURNAL)
"""The suffixes of SQLite's own files."""
MARKER = ".id"
START, RUNNING, COMMANDS = ".lock", ".running", ".commands"
QUEUE, NEXT, UPKEEP = ".queue", ".next", ".upkeep"
BELONGINGS = ("", *JOURNALS, MARKER, START, QUEUE, NEXT, RUNNING, UPKEEP, COMMANDS)
"""The suffixes of all files of a database. The suffix of the database file itself is ''."""


def beside(database: Path, end: str) -> Path:
    """Return the path of the file next to the database that has the suffix `end`."""
    return database.with_name(f"{database.name}{end}")
