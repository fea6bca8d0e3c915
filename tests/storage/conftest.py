"""A migrated database file for each test, copied from one that is made once, and a function that opens such files."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from governance.storage.sqlite.database import SqliteDatabase, engine_options
from governance.storage.sqlite.files import migrations

BUSY_TIMEOUT = 0.05
Opened = Callable[..., SqliteDatabase]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("template") / "governance.db"
    migrations.upgrade(made, BUSY_TIMEOUT)
    return made


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path / "governance.db"))


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Yield a function that opens a file as the service does. All files are closed at the end."""
    engines = []

    def open_file(path: Path, busy_timeout: float = BUSY_TIMEOUT, connections: int = 4) -> SqliteDatabase:
        engines.append(create_engine(f"sqlite:///{path}", **engine_options(path, busy_timeout, connections)))
        return SqliteDatabase(engines[-1], path, busy_timeout)

    yield open_file
    for engine in engines:
        engine.dispose()


@pytest.fixture
def database(path: Path, opened: Opened) -> SqliteDatabase:
    return opened(path)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return a function that returns the log messages of the service."""
    monkeypatch.setattr(logging.getLogger("governance"), "propagate", True)
    caplog.set_level(logging.INFO, "governance")
    return lambda: caplog.messages
