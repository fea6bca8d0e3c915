"""Files and folders for their owner alone."""

import os
from pathlib import Path

FILE = 0o600
FOLDER = 0o700


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; one that is there stays as it is. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(FOLDER, exist_ok=True)


def write(path: Path, text: str, *, append: bool = False) -> None:
    """Write text to a file, to the disk and not just to its cache; its folder is made. Raises OSError."""
    make_folder(path.parent)
    how = os.O_APPEND if append else os.O_TRUNC
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, FILE), "w") as file:
        path.chmod(FILE)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
