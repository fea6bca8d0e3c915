"""Commands refuse the files that a start refuses. They open no file that SQLite would damage."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from governance.settings import Settings
from governance.storage.sqlite.files import marker, migrations
from governance.storage.sqlite.files.backup import copy
from tests.storage.sqlite.files.test_start_check import crashed, execute

COMMANDS = (["limits", "list"], ["keys", "create", "ci", "--scope", "read"], ["verify"], ["backup", "copy.db"])


def mixed(path: Path) -> None:
    copy(path, path.with_name("backup.db"), 1)
    crashed(path)
    path.with_name("backup.db").replace(path)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))
    path.symlink_to(path.with_name("elsewhere.db"))


def strange(path: Path) -> None:
    other = path.parent / "other" / "governance.db"
    migrations.upgrade(other, 1)
    shutil.copy(other, path)


def foreign(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE governance_budgets (id TEXT)")


STATES = {
    "was replaced beside the journal": mixed,
    "is a link": linked,
    "is another than the one that was here": strange,
    "is not a database of this service": foreign,
    "it was cut off": lambda path: path.write_bytes(path.read_bytes()[:-4096]),
    "is empty": lambda path: path.write_bytes(b""),
}


@pytest.fixture(params=STATES)
def said(request, settings: Settings, governance, monkeypatch) -> str:
    """Return the message with which a start refuses the file that is now at the path."""
    monkeypatch.chdir(settings.instance_path)
    governance.close()
    with closing(sqlite3.connect(settings.database_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    STATES[request.param](settings.database_path)
    return str(request.param)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_refuses_what_a_start_refuses_and_changes_nothing(refused, said, settings, words):
    before = contents(settings)
    assert said in refused(*words)
    assert contents(settings) == before


def test_the_doctor_tells_what_a_start_refuses_and_changes_nothing(run, said, settings):
    before = contents(settings)
    result = run("doctor")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("to do  database ")]
    assert result.exit_code == 1
    assert said in line
    assert contents(settings) == before


def contents(settings: Settings) -> dict[str, bytes]:
    """Return the content of all files beside the database.

    The memory that readers share and the lock files are left out.
    """
    ends = ("-shm", ".lock", ".queue", ".next", ".commands")
    files = [file for file in settings.instance_path.iterdir() if file.is_file() and not file.name.endswith(ends)]
    return {file.name: file.read_bytes() for file in files}


def test_a_command_does_not_look_for_the_marker_of_a_database_without_one(done, settings):
    marker.path_of(settings.database_path).unlink()
    assert done("limits", "list", "--json")
