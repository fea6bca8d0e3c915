"""Common behaviour of all commands: exit codes, one sentence for a fault, no new database, no thread."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from governance import __version__
from governance.storage.sqlite.files import migrations

ROOT = Path(__file__).resolve().parents[2]
ON_THE_DATABASE = [
    ["limits", "list"],
    ["limits", "show", "gpt-4o"],
    ["usage"],
    ["audit"],
    ["keys", "create", "ci", "--scope", "read"],
    ["keys", "list"],
    ["keys", "revoke", "some"],
    ["virtual-keys", "create", "team"],
    ["virtual-keys", "list"],
    ["sync", str(ROOT / "examples/config.json")],
    ["export"],
    ["verify"],
    ["backup", "copy.db"],
]


@pytest.mark.parametrize("words", ON_THE_DATABASE, ids=" ".join)
def test_a_missing_database_is_told_and_not_made(words, refused, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in tmp_path.glob("governance.db*"):
        file.unlink()
    said = refused(*words)
    assert said.startswith(f"The database {settings.database_path} is missing: start the service once (make run)")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ON_THE_DATABASE, ids=" ".join)
def test_a_file_that_is_no_database_is_a_fault_in_one_line(words, refused, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings.database_path.write_bytes(b"this is no database\n" * 50)
    assert "is not a database of this service: put the right file there" in refused(*words)


@pytest.mark.parametrize(
    ("revision", "advice"),
    [("0002", "restart the service"), ("9999", "start the newer version of the service, or restore an older backup")],
)
def test_a_database_of_another_schema_is_told(revision, advice, refused, database):
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
    assert refused("limits", "list") == f"The schema is {revision}, this code wants {migrations.head()}: {advice}."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["limits", "list", "--nosuch"], "No such option '--nosuch'"),
        (["limits", "list", "extra"], "unexpected extra argument"),
        (["limits", "show"], "Missing argument 'ID|MODEL'"),
        (["nosuch"], "No such command 'nosuch'"),
        (["keys", "nosuch"], "No such command 'nosuch'"),
        (["keys", "create", "ci"], "Missing option '--scope'"),
        (["keys", "create", "ci", "--scope", "root"], "'root' is not one of"),
        (["usage", "--limit", "0"], "0 is not in the range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_misspelt_command_is_a_fault_and_never_the_exit_code_of_a_dry_run(words, said, refused):
    assert said in refused(*words)


def test_a_command_starts_no_thread(run, api):
    api.create("gpt-4o")
    before = threading.enumerate()
    for words in (["limits", "list"], ["keys", "create", "ci", "--scope", "read"], ["doctor"]):
        assert run(*words).exit_code == 0
    assert threading.enumerate() == before


def test_flask_finds_the_commands_from_the_root_without_options_and_in_any_encoding(api, settings):
    api.create("模型", budget={"max_limit": 1, "reset_duration": "1d"})
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "GOVERNANCE_"))}
    shown = subprocess.run(
        [Path(sys.executable).with_name("flask"), "governance", "limits", "list"],
        cwd=ROOT,
        env=environ | {"GOVERNANCE_INSTANCE": settings.instance, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    _, row = shown.stdout.splitlines()
    assert row.split()[:5] == ["??", "all", "global", "----------", "0%"]


def test_misspelt_setting_is_a_warning_to_commands(run, monkeypatch):
    monkeypatch.setenv("GOVERNANCE_POLL_INTERVALL", "1")
    result = run("limits", "list")
    assert result.exit_code == 0
    assert "Warning: Unset GOVERNANCE_POLL_INTERVALL, or correct its name" in result.stderr


def test_version_is_told_without_a_database(done, settings):
    settings.database_path.unlink()
    assert done("--version") == f"model limits, version {__version__}\n"
