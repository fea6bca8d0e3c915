"""The store is only read: while Bifrost writes to it, when no process has it open, and if it is no store."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from governance.domain.errors import InvalidRequest
from governance.storage.bifrost import reader
from tests.bifrost.stores import CURRENT, BifrostStore

MODEL = "INSERT INTO governance_model_configs (id, model_name, created_at, updated_at) VALUES (?, 'm', '', '')"


def beside(path):
    """Return the names of the files in the store's folder."""
    return sorted(file.name for file in path.parent.iterdir())


@pytest.fixture
def live(path):
    """Return a store in WAL mode, and the connection of Bifrost, which has written to the log."""
    store = BifrostStore(path, wal=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(MODEL, ("lim-logged",))
        yield store, connection


def ids(path):
    return [row.id for row in reader.read(path, 0.05).limits]


def test_a_store_that_is_being_written_to_is_read_as_of_its_last_commit(live, path):
    _, writer = live
    writer.execute("BEGIN IMMEDIATE")
    writer.execute(MODEL, ("lim-open",))
    assert ids(path) == ["lim-logged"]
    writer.execute("COMMIT")
    assert sorted(ids(path)) == ["lim-logged", "lim-open"]


def test_the_command_takes_what_stands_in_the_log(live, imported):
    assert imported().outcome("lim-logged") == "taken"


def test_reading_changes_nothing_for_who_has_the_store_open(live, path):
    _, writer = live
    files, log = beside(path), path.with_name("config.db-wal").read_bytes()
    ids(path)
    assert (beside(path), path.with_name("config.db-wal").read_bytes()) == (files, log)
    writer.execute(MODEL, ("lim-after",))
    assert len(ids(path)) == 2


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback journal"])
def test_a_store_at_rest_is_left_as_it_was_with_no_file_beside_it(path, wal):
    BifrostStore(path, wal=wal).limit()
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert len(ids(path)) == 1
    assert beside(path) == ["config.db"]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("torn", [False, True], ids=["another state", "torn pages"])
def test_a_store_at_rest_that_is_opened_meanwhile_is_read_again(path, monkeypatch, torn):
    store = BifrostStore(path, wal=True)
    store.limit()
    read_once = reader._rows

    def disturbed(file, busy_timeout, how):
        found = read_once(file, busy_timeout, how)
        if "immutable" in how:
            store.limit("gpt-5")
            if torn:
                raise sqlite3.DatabaseError("database disk image is malformed")
        return found

    monkeypatch.setattr(reader, "_rows", disturbed)
    assert len(ids(path)) == 2


def test_a_damaged_store_at_rest_is_told_and_nothing_is_left_beside_it(run, path):
    BifrostStore(path, wal=True).limit()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert fault(run, path).endswith("config.db is damaged.")
    assert beside(path) == ["config.db"]


def test_a_link_to_a_live_store_is_followed_to_its_log(live, path, tmp_path):
    link = tmp_path / "linked.db"
    link.symlink_to(path)
    assert ids(link) == ["lim-logged"]


def test_a_name_with_odd_characters_is_a_name(tmp_path):
    path = tmp_path / "a?b#c %41.db"
    BifrostStore(path).limit()
    assert len(ids(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_store_cannot_be_written_through_the_connection(path):
    BifrostStore(path)
    for how in ("mode=ro", "mode=ro&immutable=1"):
        with (
            closing(sqlite3.connect(f"file:{path}?{how}", uri=True)) as connection,
            pytest.raises(sqlite3.OperationalError, match="readonly"),
        ):
            connection.execute("DELETE FROM governance_budgets")


def fault(run, file):
    """Return the message with which the command ends."""
    result = run(file=file)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    return result.output.strip()


def test_a_file_that_is_not_there_is_told_and_not_made(run, tmp_path):
    missing = tmp_path / "missing.db"
    sentence = fault(run, missing)
    assert sentence == f"Give the path of Bifrost's SQLite store: {missing} cannot be read, No such file or directory."
    assert not missing.exists()


def test_a_folder_is_told(run, tmp_path):
    assert fault(run, tmp_path).endswith(f"{tmp_path} cannot be read, Is a directory.")


@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)) * 32], ids=["empty", "json", "encrypted"])
def test_a_file_that_is_no_database_is_told(run, path, content):
    path.write_bytes(content)
    assert fault(run, path).endswith("config.db is no SQLite database, or an encrypted one.")
    assert beside(path) == ["config.db"]


def test_a_damaged_store_is_told(run, path):
    BifrostStore(path).limit()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert fault(run, path).endswith("config.db is damaged.")


def test_a_store_cut_short_is_told(run, path):
    store = BifrostStore(path)
    for _ in range(50):
        store.limit()
    path.write_bytes(path.read_bytes()[:6000])
    assert "config.db" in fault(run, path)


def test_a_database_of_another_kind_is_told(run, path, settings):
    BifrostStore(path, {"budgets": "id text"})
    assert fault(run, path) == f"Give the path of Bifrost's SQLite store: {path} has none of its tables."
    assert fault(run, settings.database_path).endswith("governance.db has none of its tables.")


def test_a_store_that_a_crash_left_half_written_is_told(run, path, tmp_path):
    store = BifrostStore(path)
    for _ in range(50):
        store.limit()
    crashed = tmp_path / "crashed.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute("UPDATE governance_model_configs SET config_hash = hex(zeroblob(3000))")
        for end in ("", "-journal"):
            shutil.copy(f"{path}{end}", f"{crashed}{end}")
    assert fault(run, crashed).endswith("crashed.db holds an unfinished transaction; start and stop Bifrost once.")


def test_a_locked_store_is_told(run, path):
    BifrostStore(path).limit()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert fault(run, path) == f"Try again shortly: another process holds the lock of {path}."


def test_a_table_without_ids_leaves_its_rows_out(path):
    BifrostStore(path, CURRENT | {"governance_budgets": "max_limit real"}).run("governance_budgets", [{"max_limit": 1}])
    assert reader.read(path, 1).budgets[0].id is None


def test_trouble_with_the_file_is_a_refusal(tmp_path):
    with pytest.raises(InvalidRequest):
        reader.read(tmp_path / "none.db", 1)
