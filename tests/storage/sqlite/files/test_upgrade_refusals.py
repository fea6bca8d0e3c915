"""If the database cannot be prepared, the operator gets the reason in one line, and no file changes."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from governance.domain.errors import NotReady
from governance.storage.sqlite.files import migrations
from tests.storage.stored import content, fill

ROOT = Path(__file__).resolve().parents[4]
NOBODY = 65534
PAGE = 4096
GARBAGE = b"\xaa"


def refusal(path: Path) -> str:
    """Return the one line with which an upgrade is refused."""
    with pytest.raises(NotReady) as told:
        migrations.upgrade(path, 0.05)
    assert len(told.value.message.splitlines()) == 1
    assert str(path) in told.value.message
    return told.value.message


def rows_of(path: Path) -> dict:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        return content(connection)


def test_a_newer_schema_is_named_and_nothing_is_changed(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    message = refusal(path)
    assert "schema 9999" in message
    assert "newer version" in message
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["governance.db", "governance.db.lock"]


def test_a_newer_schema_keeps_even_its_journal_mode(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("PRAGMA journal_mode = DELETE")
    before = path.read_bytes()
    refusal(path)
    assert path.read_bytes() == before


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off in the middle": lambda file: file[: len(file) // 2],
    "cut off in its first page": lambda file: file[:512],
    "overwritten in its first page": lambda file: file[:100] + GARBAGE * (PAGE - 100) + file[PAGE:],
    "overwritten behind its first page": lambda file: file[:PAGE] + GARBAGE * (len(file) - PAGE),
}
STRANGERS = {"text": b"this is no database\n" * 50, "zeros": bytes(2 * PAGE), "gzip": b"\x1f\x8b\x08" + GARBAGE * 5000}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_corrupt_file_is_refused_and_left_as_it_is(path, damage):
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    before = path.read_bytes()
    assert "malformed" in refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path, stranger):
    path.write_bytes(STRANGERS[stranger])
    assert "not a database" in refusal(path)
    assert path.read_bytes() == STRANGERS[stranger]


@pytest.mark.parametrize("below", ["governance.db", "folder/governance.db"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path, below):
    (tmp_path / "file").write_text("in the way")
    refusal(tmp_path / "file" / below)


def test_a_folder_in_the_database_s_place_is_told(tmp_path):
    (tmp_path / "governance.db").mkdir()
    assert "directory" in refusal(tmp_path / "governance.db")


def test_a_journal_that_cannot_be_opened_is_told(path):
    path.with_name("governance.db-wal").mkdir()
    assert "unable to open" in refusal(path)


UNPRIVILEGED = f"""
import os, sys
from pathlib import Path
from governance.domain.errors import NotReady
from governance.storage.sqlite.files.migrations import upgrade
upgrade(Path(sys.argv[1]) / "other" / "governance.db", 1)
if os.geteuid() == 0:
    os.seteuid({NOBODY})
try:
    upgrade(Path(sys.argv[1]) / "closed" / "governance.db", 1)
except NotReady as error:
    print(error.message)
"""


@pytest.mark.parametrize("stored", [True, False], ids=["with a database", "empty"])
def test_a_folder_that_may_not_be_written_to_is_told(path, stored):
    with TemporaryDirectory() as open_to_all:
        folder = Path(open_to_all) / "closed"
        folder.mkdir()
        if stored:
            (folder / "governance.db").write_bytes(path.read_bytes())
        Path(open_to_all).chmod(0o755)
        folder.chmod(0o555)
        told = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, open_to_all], cwd=ROOT, capture_output=True, text=True, check=True
        )
        folder.chmod(0o755)
    assert "Permission denied" in told.stdout
    assert len(told.stdout.splitlines()) == 1
    assert told.stderr == ""


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_database_that_another_connection_has_locked_is_told(path, journal):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"PRAGMA journal_mode = {journal}")
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in refusal(path)
        other.execute("ROLLBACK")
    migrations.upgrade(path, 1)


TOGETHER = """
import sys
from pathlib import Path
from governance.storage.sqlite.files.migrations import upgrade
print("ready", flush=True)
sys.stdin.readline()
upgrade(Path(sys.argv[1]), 10)
"""


@pytest.mark.parametrize("filled", [True, False], ids=["a filled one of the first schema", "a fresh one"])
def test_processes_that_start_together_migrate_a_file_once(tmp_path, filled):
    file, before = tmp_path / "governance.db", {}
    if filled:
        file.touch()
        with migrations.connect(file, 1) as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            command.upgrade(migrations.config(connection), "0001")
            fill(connection)
            connection.exec_driver_sql("COMMIT")
            before = content(connection)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    run = [sys.executable, "-c", TOGETHER, str(file)]
    processes = [subprocess.Popen(run, cwd=ROOT, text=True, env=os.environ, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [line for process in processes for line in process.communicate()[1].splitlines()]
    assert [line for line in told if not line.startswith("waiting for the lock")] == []
    assert [process.returncode for process in processes] == [0] * 2
    after = rows_of(file)
    assert [row["revision"] for row in after["config_revision"]] == [0]
    for name, rows in before.items():
        assert [{key: row[key] for key in old} for row, old in zip(after[name], rows, strict=True)] == rows
