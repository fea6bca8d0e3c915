"""`flask governance export FILE`: an existing file is not overwritten without --force."""

import json

import pytest


def test_export_keeps_file_that_is_there(refused, tmp_path):
    file = tmp_path / "limits.json"
    file.write_text("precious")
    assert refused("export", str(file)) == f"Give another FILE, or --force to replace it: {file} is there already."
    assert file.read_text() == "precious"


def test_export_replaces_file_where_forced(api, done, tmp_path):
    api.create("gpt-4o")
    file = tmp_path / "limits.json"
    file.write_text("old")
    assert done("export", str(file), "--force") == ""
    assert "gpt-4o" in file.read_text()
    assert json.loads(file.read_text()) == json.loads(done("export"))


@pytest.mark.parametrize("end", ["", "-wal", ".lock"])
def test_export_never_replaces_the_database(refused, settings, end):
    file = settings.database_path.with_name(f"{settings.database_path.name}{end}")
    assert refused("export", str(file), "--force") == f"Give another FILE: {file} belongs to the database itself."


def test_export_that_fails_leaves_nothing_behind(refused, tmp_path, monkeypatch):
    folder = tmp_path / "exports"
    folder.mkdir()
    file = folder / "limits.json"
    monkeypatch.setattr(type(file), "replace", fail)
    assert refused("export", str(file)).startswith("Give a file that can be written: ")
    assert list(folder.iterdir()) == []


def fail(*_):
    raise OSError(28, "No space left on device")
