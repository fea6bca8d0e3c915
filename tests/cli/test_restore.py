"""The output of `flask governance restore` and `init`.

tests/storage/sqlite/files/test_restore.py tests their effects.
"""

import json
import stat
from pathlib import Path

import pytest

from governance.storage.sqlite.files import migrations
from governance.storage.sqlite.files.service_lock import ServiceLock, opened_by_command


@pytest.fixture
def backup(done, tmp_path):
    done("backup", str(tmp_path / "backups.db"))
    (tmp_path / "elsewhere").mkdir()
    return (tmp_path / "backups.db").rename(tmp_path / "elsewhere/backup.db")


def test_a_restore_says_what_it_put_there_and_what_it_kept(done, backup, settings):
    path = settings.database_path
    lines = done("restore", str(backup)).splitlines()
    assert lines == [
        f"{path}: {backup.stat().st_size:,} bytes of {backup}, checked, schema {migrations.head()}.",
        f"What was there is kept as {path}.replaced-20261123T120000Z.",
    ]


def test_a_restore_in_json(asked, backup, settings):
    path = settings.database_path
    assert asked("restore", str(backup)) == {
        "file": str(path),
        "bytes": backup.stat().st_size,
        "schema": migrations.head(),
        "kept": f"{path}.replaced-20261123T120000Z",
    }


def test_a_running_service_is_named(refused, backup, settings):
    lock = ServiceLock(settings.database_path)
    lock.begin()
    said = refused("restore", str(backup))
    lock.end()
    assert said.startswith("Stop the service first: process ")


def test_a_command_that_waits_for_its_yes_is_named(refused, backup, settings):
    with opened_by_command(settings.database_path, 1):
        said = refused("restore", str(backup))
    assert said.startswith("End the other command first: process ")


def test_a_command_leaves_no_connection_behind_its_lock(run, settings):
    run("limits", "list")
    opened = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
    assert settings.database_path.resolve() not in opened


def test_a_backup_that_is_missing_is_told(refused, tmp_path):
    missing = tmp_path / "missing.db"
    said = f"Give a BACKUP that is a whole database of this service: {missing} is not (there is no such file)."
    assert refused("restore", str(missing)) == said


def test_init_makes_a_database_where_one_was_lost(run, settings, asked):
    settings.database_path.unlink()
    assert asked("init") == {"file": str(settings.database_path)}
    assert stat.S_IMODE(settings.database_path.stat().st_mode) == 0o600
    assert json.loads(run("limits", "list", "--json").stdout)["total_count"] == 0


def test_init_keeps_a_database_that_is_there(refused, settings):
    path = settings.database_path
    assert refused("init") == f"Move {path} away first: it is there already, and is kept."


def test_an_export_is_not_written_through_a_link_at_a_guessed_name(done, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / ".limits.json.new").symlink_to(precious)
    done("export", str(tmp_path / "limits.json"))
    assert precious.read_text() == "precious"
    assert stat.S_IMODE((tmp_path / "limits.json").stat().st_mode) == 0o600
    assert not list(tmp_path.glob("limits.json.*"))
