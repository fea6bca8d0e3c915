"""A wheel of this tree, installed in an environment of its own, and services that are started from it."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.process.service import ROOT, Service

collect_ignore_glob = [] if find_spec("yaml") else ["test_*.py"]
"""Only the environment of `make deploy` has what these tests import."""
SOURCES = ("app.py", "wsgi.py", "governance", "schemas", "migrations", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that `python -m build` makes from the source distribution of this tree."""
    tree, made = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tree / name)
    subprocess.run([sys.executable, "-m", "build", "--outdir", made, tree], check=True, capture_output=True)
    (file,) = made.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", wheel], check=True)
    return folder


@pytest.fixture(scope="session")
def command(environment: Path) -> Path:
    """Return the command `model-limits` of that environment."""
    return environment / "bin/model-limits"


@pytest.fixture
def installed(command: Path, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Yield a function that makes services of the wheel. The services are not started."""
    made: list[Service] = []

    def make(**environ: str) -> Service:
        folder = tmp_path / f"service{len(made)}"
        folder.mkdir()
        made.append(Service(folder, **{"GOVERNANCE_POLL_INTERVAL": "0.2", **environ}))
        made[-1].command, made[-1].cwd = (command, "serve"), folder
        return made[-1]

    yield make
    for each in made:
        each.end()
