"""A start on existing files creates no new database, and uses no file but the right one."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app import create_app
from governance.domain.errors import NotReady
from governance.settings import Settings
from governance.startup import prepare
from governance.storage import private_files
from governance.storage.sqlite.files import marker, migrations, start_check
from governance.storage.sqlite.files.backup import copy
from governance.storage.sqlite.files.header import FileHeader
from governance.storage.sqlite.files.service_lock import ServiceLock
from tests.storage.sqlite.files.test_migrations import of_revision

ROOT = Path(__file__).resolve().parents[4]
PAGE = 4096


def start(path: Path) -> None:
    migrations.upgrade(path, 0.3)


def refusal(path: Path) -> str:
    """Return the one line with which a start is refused. The start must change no file."""
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(NotReady) as told:
        start(path)
    assert len(told.value.message.splitlines()) == 1
    assert (path.read_bytes() if path.exists() else None) == before
    return told.value.message


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def crashed(path: Path) -> None:
    """Leave a journal beside the file, as a killed service does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE config_revision SET revision = revision + 1")
        kept = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal")}
    for end, content in kept.items():
        Path(f"{path}{end}").write_bytes(content)


def revision(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT revision FROM config_revision").fetchone()[0])


@pytest.fixture
def path(path: Path) -> Path:
    """Return a database after one start, and its marker."""
    start(path)
    return path


def test_the_marker_has_the_id_of_the_database(path):
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT database_id FROM database_identity").fetchone()
    assert marker.Marker.read(path).database_id == found
    assert marker.path_of(path).stat().st_mode & 0o777 == 0o600


def test_every_new_database_has_an_id_and_a_stamp_of_its_own(tmp_path):
    made = [tmp_path / name / "governance.db" for name in "ab"]
    for each in made:
        start(each)
    known = [marker.Marker.read(each) for each in made]
    assert known[0].database_id != known[1].database_id
    assert known[0].stamp != known[1].stamp
    assert 0 not in {each.stamp for each in known}


@pytest.mark.parametrize("version", ["0001", "0002", "0003", "0004", "0005"])
def test_a_database_from_before_ids_gets_one_and_a_marker(tmp_path, version):
    file = tmp_path / "governance.db"
    of_revision(file, version)
    start(file)
    known = marker.Marker.read(file)
    assert known is not None
    start(file)
    assert marker.Marker.read(file).database_id == known.database_id


def test_a_lost_database_is_not_made_anew(path):
    path.unlink()
    message = refusal(path)
    assert "is missing" in message
    assert "flask governance restore BACKUP" in message
    assert not path.exists()


@pytest.mark.parametrize("end", ["-wal", "-journal", ".queue", ".id"])
def test_each_thing_that_a_lost_database_leaves_tells_of_it(tmp_path, end):
    (tmp_path / f"governance.db{end}").touch()
    assert f"governance.db{end} is of an earlier one" in refusal(tmp_path / "governance.db")


@pytest.mark.parametrize("kept", ["governance.db", "governance.db.id", "backup.db"])
def test_a_mistyped_name_in_the_folder_of_a_database_is_told(path, kept):
    if kept != path.name:
        shutil.copy(path if kept == "backup.db" else marker.path_of(path), path.with_name(kept + "~"))
        for file in path.parent.iterdir():
            if not file.name.endswith("~"):
                file.unlink()
        path.with_name(kept + "~").rename(path.with_name(kept))
    mistyped = path.with_name("govrenance.db")
    assert f"{kept} is of an earlier one" in refusal(mistyped)


@pytest.mark.parametrize("name", ["admin.key", "virtual-keys.txt"])
def test_keys_in_the_instance_folder_tell_of_a_database_that_lay_elsewhere(tmp_path, name):
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / name).touch()
    elsewhere = tmp_path / "data" / "governance.db"
    with pytest.raises(NotReady, match=f"{name} is of an earlier one"):
        migrations.upgrade(elsewhere, 1, folders=(tmp_path / "instance",))


def test_files_of_others_tell_of_no_database(tmp_path):
    execute(tmp_path / "config.db", "CREATE TABLE governance_budgets (id TEXT)")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "some.id").write_text("7")
    (tmp_path / "governance.db.lock").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    start(tmp_path / "governance.db")


def test_what_a_killed_start_leaves_hinders_none(path, tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    shutil.copy(path, folder / "governance.db.new")
    (folder / "governance.db.new-wal").write_bytes(b"half")
    (folder / "governance.db.lock").touch()
    (folder / "governance.db.id.12ab.part").touch()
    start(folder / "governance.db")
    assert not list(folder.glob("*.new*"))


def test_a_database_whose_first_start_was_killed_before_the_marker_gets_one(path):
    marker.path_of(path).unlink()
    start(path)
    assert marker.Marker.read(path) is not None


def test_an_empty_file_is_told(path):
    path.write_bytes(b"")
    assert "is empty" in refusal(path)


def test_a_database_without_tables_is_told(tmp_path):
    file = tmp_path / "governance.db"
    execute(file, "PRAGMA journal_mode = WAL")
    assert "is empty" in refusal(file)


def test_another_programs_database_is_told_and_kept(tmp_path):
    file = tmp_path / "governance.db"
    execute(file, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('0003')")
    assert "is not a database of this service" in refusal(file)


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "not marked"])
@pytest.mark.parametrize("less", [1, 200, PAGE])
def test_a_file_that_was_cut_off_is_told(path, less, marked):
    if not marked:
        marker.path_of(path).unlink()
    path.write_bytes(path.read_bytes()[:-less])
    message = refusal(path)
    assert "malformed" in message
    assert "restore" in message


def test_a_page_that_is_damaged_is_found_after_an_unclean_stop(path):
    content = bytearray(path.read_bytes())
    content[5 * PAGE : 6 * PAGE] = os.urandom(PAGE)
    path.write_bytes(content)
    assert "malformed" in refusal(path)


def test_another_database_in_its_place_is_told(path, tmp_path):
    other = tmp_path / "other" / "governance.db"
    start(other)
    shutil.copy(other, path)
    message = refusal(path)
    assert "is another than the one that was here" in message
    assert marker.Marker.read(path).database_id in message


def test_a_link_in_its_place_is_told(path, tmp_path):
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    assert "is a link" in refusal(path)


@pytest.mark.parametrize("way", ["in place", "by a new file"])
def test_a_backup_put_beside_the_old_journal_is_refused(path, tmp_path, way):
    copy(path, tmp_path / "backup.db", 1)
    start(path)
    crashed(path)
    if way == "in place":
        path.write_bytes((tmp_path / "backup.db").read_bytes())
    else:
        (tmp_path / "backup.db").replace(path)
    assert "was replaced beside the journal of the file before it (governance.db-wal)" in refusal(path)


def test_a_plain_copy_put_beside_the_old_journal_is_refused(path, tmp_path):
    shutil.copy(path, tmp_path / "copy.db")
    start(path)
    crashed(path)
    (tmp_path / "copy.db").replace(path)
    assert "was replaced beside the journal" in refusal(path)


def test_a_backup_without_a_journal_is_taken_and_said(path, tmp_path, heard):
    copy(path, tmp_path / "backup.db", 1)
    execute(path, "UPDATE config_revision SET revision = 7")
    (tmp_path / "backup.db").replace(path)
    start(path)
    assert revision(path) == 0
    assert any("replaced by another state of the same database" in line for line in heard())
    told = len(heard())
    start(path)
    assert not any("replaced by" in line for line in heard()[told:])


def test_the_journal_of_a_killed_service_is_its_own(path):
    crashed(path)
    start(path)
    assert revision(path) == 1


def test_a_folder_that_was_copied_as_a_whole_keeps_its_journal(path, tmp_path):
    crashed(path)
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in path.parent.glob("governance.db*"):
        shutil.copy(file, moved / file.name)
    start(moved / path.name)
    assert revision(moved / path.name) == 1


def test_a_marker_that_cannot_be_read_is_told(path):
    marker.path_of(path).write_text("{")
    assert "Remove" in refusal(path)


class TestLookingThrough:
    """How thorough a start checks the file, by the pragmas that it runs."""

    @pytest.fixture
    def asked(self, monkeypatch):
        found = []
        fault_in = start_check.fault_in
        monkeypatch.setattr(
            start_check, "fault_in", lambda connection, pragma: found.append(pragma) or fault_in(connection, pragma)
        )
        return found

    def stop(self, path):
        lock = ServiceLock(path)
        lock.begin()
        migrations.upgrade(path, 1, service=lock)
        lock.end()

    def test_is_whole_after_an_unclean_stop(self, path, asked):
        start(path)
        assert asked == ["integrity_check"]

    def test_is_quick_after_a_clean_stop(self, path, asked):
        self.stop(path)
        asked.clear()
        start(path)
        assert asked == ["quick_check"]
        start(path)
        assert asked == ["quick_check", "integrity_check"]

    def test_is_whole_again_after_a_start_that_was_refused(self, path, asked):
        content = bytearray(path.read_bytes())
        content[5 * PAGE : 6 * PAGE] = os.urandom(PAGE)
        path.write_bytes(content)
        for _ in range(2):
            lock = ServiceLock(path)
            lock.begin()
            with pytest.raises(NotReady, match="malformed"):
                migrations.upgrade(path, 1, service=lock)
            lock.end()
        assert asked == ["integrity_check"] * 2

    def test_is_whole_where_the_file_was_changed_since(self, path, asked):
        self.stop(path)
        execute(path, "UPDATE config_revision SET revision = 7")
        asked.clear()
        start(path)
        assert asked == ["integrity_check"]

    def test_is_left_out_for_a_large_file_after_a_clean_stop(self, path, asked, monkeypatch):
        monkeypatch.setattr("governance.storage.sqlite.files.start_check.LARGEST_QUICK", 1000)
        self.stop(path)
        asked.clear()
        start(path)
        assert asked == []

    def test_is_left_out_while_another_service_runs_on_it(self, path, asked):
        other, own = ServiceLock(path), ServiceLock(path)
        other.begin()
        own.begin()
        migrations.upgrade(path, 1, service=own)
        assert asked == []
        other.end()
        own.end()
        migrations.upgrade(path, 1, service=own)
        assert asked == ["quick_check"]

    def test_a_stop_that_leaves_a_journal_is_not_clean(self, path, asked):
        lock = ServiceLock(path)
        lock.begin()
        migrations.upgrade(path, 1, service=lock)
        crashed(path)
        lock.end()
        asked.clear()
        start(path)
        assert asked == ["integrity_check"]


KILLED = """
import os, signal, sys
from pathlib import Path
from governance.storage import private_files
from governance.storage.sqlite.files import migrations, new_database, marker
calls = [0]
def die(function):
    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return counted
for name in ("create", "sync", "fill", "_write"):
    setattr(private_files, name, die(getattr(private_files, name)))
Path.replace = die(Path.replace)
migrations._migrate = die(migrations._migrate)
migrations.upgrade(Path(sys.argv[1]), 1)
print(calls[0])
"""


def test_a_start_that_is_killed_at_any_step_of_making_the_database_leaves_the_next_one_free(tmp_path):
    for step in range(1, 100):
        file = tmp_path / str(step) / "governance.db"
        command = [sys.executable, "-c", KILLED, str(file), str(step)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        start(file)
        assert revision(file) == 0
        assert FileHeader.of(file).stamp
    assert 8 < step < 99


def test_a_lock_that_another_process_holds_ends_the_start_with_its_name(path):
    with private_files.locked(path.with_name("governance.db.lock"), 1), pytest.raises(NotReady) as told:
        migrations.upgrade(path, 1, patience=0.05)
    assert f"process {os.getpid()} (" in told.value.message
    assert "governance.db.lock" in told.value.message


@pytest.mark.parametrize("end", [".lock", ".next"])
def test_a_link_beside_the_database_is_told_with_what_to_do(tmp_path, end):
    file = tmp_path / "instance" / "governance.db"
    file.parent.mkdir()
    Path(f"{file}{end}").symlink_to(tmp_path / "elsewhere")
    settings = Settings(instance=str(file.parent))
    app = create_app(settings)
    with pytest.raises(NotReady, match="link") as told:
        prepare(app)
    assert ("Remove the link" if end == ".lock" else "run flask governance doctor") in told.value.message
    assert not (tmp_path / "elsewhere").exists()


FULL = """
import resource, sys
from pathlib import Path
from governance.domain.errors import NotReady
from governance.storage.sqlite.files import migrations
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    migrations.upgrade(Path(sys.argv[1]), 1)
except NotReady as error:
    print(error.message)
"""


@pytest.mark.parametrize("room", [4096, 60_000, 200_000])
def test_a_disk_that_is_full_at_the_first_start_leaves_nothing_half_made(tmp_path, room):
    file = tmp_path / "governance.db"
    command = [sys.executable, "-c", FULL, str(file), str(room)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "cannot be used" in done.stdout
    assert "rollback" not in done.stdout
    assert [found.name for found in tmp_path.iterdir()] == ["governance.db.lock"]
    start(file)
