"""The files that belong to a database file, by the suffixes of their names."""

from pathlib import Path

WAL, SHM, JOURNAL = "-wal", "-shm", "-journal"
JOURNALS = (WAL, SHM, JOURNAL)
"""The suffixes of SQLite's own files."""
MARKER = ".id"
START, RUNNING, COMMANDS = ".lock", ".running", ".commands"
QUEUE, NEXT, UPKEEP = ".queue", ".next", ".upkeep"
BELONGINGS = ("", *JOURNALS, MARKER, START, QUEUE, NEXT, RUNNING, UPKEEP, COMMANDS)
"""The suffixes of all files of a database, including the database itself."""


def beside(database: Path, end: str) -> Path:
    """Return the path of the database's file with this suffix."""
    return database.with_name(f"{database.name}{end}")
