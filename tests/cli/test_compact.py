"""`flask governance compact`: a large old file becomes small, and after that returns free space by itself."""

import sqlite3
from contextlib import closing

import pytest

from governance.storage.sqlite.files import compaction, service_lock
from governance.storage.sqlite.files.service_lock import ServiceLock


@pytest.fixture
def grown(settings, app, database):
    """Return a file of an earlier version in which most pages are free."""
    path = settings.database_path
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
        connection.execute("CREATE TABLE ballast (x)")
        for _ in range(40):
            connection.execute("INSERT INTO ballast VALUES (randomblob(100000))")
        connection.execute("DROP TABLE ballast")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def test_compact_gives_back_what_nothing_uses(grown, asked, api):
    made = api.create("kept")
    before = grown.stat().st_size
    told = asked("compact")
    assert told["bytes"] == before > 4_000_000
    assert told["free"] >= 4_000_000
    assert told["gives_back_by_itself"] is False
    assert told["bytes_after"] == grown.stat().st_size < before / 5
    assert compaction.look(grown, 1) == (told["bytes_after"], 0, True)
    assert [each["id"] for each in api.list()["model_configs"]] == [made["id"]]


def test_compact_dry_run_changes_nothing(grown, done):
    before = grown.read_bytes()
    said = done("compact", "--dry-run")
    assert " bytes of it free." in said
    assert "nothing was done" in said
    assert grown.read_bytes() == before


def test_compact_refuses_while_a_service_runs(grown, refused):
    lock = ServiceLock(grown)
    lock.begin()
    before = grown.stat().st_size
    assert refused("compact").startswith("Stop the service first: ")
    assert grown.stat().st_size == before
    lock.end()
    assert not service_lock.is_held(grown)


def test_compact_refuses_without_room(grown, refused, monkeypatch):
    monkeypatch.setattr(compaction.shutil, "disk_usage", lambda _: shutil_usage(100_000))
    before = grown.read_bytes()
    assert refused("compact").startswith("Make room: 100,000 bytes are free in ")
    assert grown.read_bytes() == before


def shutil_usage(free):
    return type("Usage", (), {"free": free})
