"""Prepares the two trees that `bench/against.py` compares: the working tree, and the tree of a commit."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

from bench.servers import ROOT

FOLDER = ROOT / "bench" / ".work" / "against"


class Tree(NamedTuple):
    """A checkout: its name, its folder, and the Python interpreter in whose environment its packages are installed."""

    name: str
    folder: Path
    python: Path


def this() -> Tree:
    """Return the working tree as it is now."""
    return Tree("this tree", ROOT, Path(sys.executable))


def of_commit(commit: str) -> Tree:
    """Return the tree of a commit. The tree is unpacked only once. Raises SystemExit if the commit does not exist."""
    found = _git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}", check=False)
    if found.returncode:
        sys.exit(f"There is no commit {commit}: give AGAINST=<commit>, such as AGAINST=HEAD~1.")
    name = found.stdout.decode().strip()[:12]
    folder = FOLDER / name
    if not folder.exists():
        unpacked = folder.with_suffix(".part")
        unpacked.mkdir(parents=True, exist_ok=True)
        archive = _git("archive", name).stdout
        subprocess.run(["tar", "-x", "-C", unpacked], input=archive, check=True)
        unpacked.rename(folder)
    return Tree(f"{commit} ({name})", folder, _python(folder))


def _python(folder: Path) -> Path:
    """Return this process's interpreter if the commit has the same requirements.lock as the working tree.

    Otherwise return the interpreter of a virtual environment with the packages of the commit.
    """
    lock = (folder / "requirements.lock").read_bytes()
    if lock == (ROOT / "requirements.lock").read_bytes():
        return Path(sys.executable)
    home = FOLDER / f"venv-{hashlib.sha256(lock).hexdigest()[:12]}"
    python = home / "bin" / "python"
    ready = home / ".ready"
    if not ready.exists():
        venv.create(home, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", folder / "requirements.lock"]
        subprocess.run(install, check=True)
        ready.touch()
    return python


def _git(*words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, check=check)
