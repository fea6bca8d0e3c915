"""The log of a migration, and a migration whose copy cannot be written."""

import logging
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from governance import __version__
from governance.domain.errors import NotReady
from governance.storage.sqlite.files import migrations
from tests.storage.sqlite.files.test_migrations import of_revision, revision_of, rows_of

HEAD = migrations.head()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a filled database of the first schema."""
    of_revision(tmp_path / "governance.db", "0001")
    return tmp_path / "governance.db"


class Heard(logging.Handler):
    """Keeps every log message."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Yield the list of the log messages of the migrations."""
    heard, logger = Heard(), logging.getLogger("governance.migrations")
    logger.addHandler(heard)
    logger.setLevel(logging.INFO)
    yield heard.said
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(heard)


@pytest.fixture
def blocked(old: Path) -> Path:
    """Return the name of the copy. A folder with a file in it already has this name."""
    copy = old.with_name(f"governance.db.before-{HEAD}")
    copy.mkdir()
    (copy / "file").write_text("in the way")
    return copy


def test_migration_logs_schemas_copy_and_time(old, said):
    assert migrations.upgrade(old, 1) == []
    began, ended = said
    copy = f"governance.db.before-{HEAD}"
    assert began == (
        f"model limits {__version__} migrates governance.db from schema 0001 to {HEAD}; first it is copied to {copy}"
    )
    took = r"\d+\.\d s"
    outcome = (
        rf"governance\.db was migrated from schema 0001 to {HEAD} in {took}; the copy of before is {copy}, made in "
    )
    assert re.fullmatch(outcome + took, ended)


def test_new_and_current_files_log_no_migration(tmp_path, said):
    for _ in range(2):
        assert migrations.upgrade(tmp_path / "governance.db", 1) == []
    assert said == [f"model limits {__version__} made a new, empty database: {tmp_path / 'governance.db'}"]


def test_copy_that_cannot_be_written_is_warning_where_limits_are_stored(old, blocked, said):
    before = rows_of(old)
    assert migrations.upgrade(old, 1) == [migrations.WITHOUT_COPY]
    assert revision_of(old) == HEAD
    assert before["model_limits"]
    assert len(rows_of(old)["model_limits"]) == len(before["model_limits"])
    assert any(f"the copy {blocked} could not be written: " in sentence for sentence in said)
    assert not list(old.parent.glob("*.part"))


def test_copy_that_cannot_be_written_ends_start_without_limits(old, blocked):
    with migrations.connect(old, 1) as connection:
        connection.exec_driver_sql("DELETE FROM model_limits")
    with pytest.raises(NotReady, match="cannot be used"):
        migrations.upgrade(old, 1)
    assert revision_of(old) == "0001"


def test_full_disk_during_copy_is_warning_where_limits_are_stored(old, monkeypatch):
    monkeypatch.setattr(migrations, "copy", FailingCopy(sqlite3.SQLITE_FULL))
    assert migrations.upgrade(old, 1) == [migrations.WITHOUT_COPY]


def test_damaged_database_is_not_migrated_without_copy(old, monkeypatch):
    monkeypatch.setattr(migrations, "copy", FailingCopy(sqlite3.SQLITE_CORRUPT))
    with pytest.raises(NotReady, match="cannot be used"):
        migrations.upgrade(old, 1)
    assert revision_of(old) == "0001"


class FailingCopy:
    """A copy that fails in the way of SQLite."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __call__(self, *_: object) -> None:
        error = sqlite3.OperationalError("it failed")
        error.sqlite_errorcode = self.code
        raise error
