"""What a database file has beside itself: each file by the end of its name."""

from pathlib import Path

WAL, SHM, JOURNAL = "-wal", "-shm", "-journal"
JOURNALS = (WAL, SHM, JOURNAL)
"""What SQLite keeps there."""
MARKER = ".id"
START, RUNNING, COMMANDS = ".lock", ".running", ".commands"
QUEUE, NEXT, UPKEEP = ".queue", ".next", ".upkeep"
BELONGINGS = ("", *JOURNALS, MARKER, START, QUEUE, NEXT, RUNNING, UPKEEP, COMMANDS)
"""All of it, and the file itself."""


def beside(database: Path, end: str) -> Path:
    """The file beside a database whose name ends so."""
    return database.with_name(f"{database.name}{end}")
