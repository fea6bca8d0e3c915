"""A restore checks the backup and replaces the whole database, or does nothing. The replaced file is kept."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from governance.domain.errors import Conflict, InvalidRequest, NotReady
from governance.storage import private_files
from governance.storage.sqlite.files import marker, migrations, restore, service_lock
from governance.storage.sqlite.files.backup import copy
from governance.storage.sqlite.files.service_lock import ServiceLock, opened_by_command
from tests.conftest import NOON
from tests.storage.sqlite.files.test_migrations import of_revision
from tests.storage.sqlite.files.test_start_check import crashed, execute, revision

ROOT = Path(__file__).resolve().parents[4]
KEPT = "governance.db.replaced-20261123T120000Z"


@pytest.fixture
def path(path: Path, tmp_path: Path) -> Path:
    """Return a database of revision 5 in a folder of its own, after a start. Its backup is of revision 3."""
    own = tmp_path / "instance" / "governance.db"
    own.parent.mkdir()
    path.rename(own)
    migrations.upgrade(own, 1)
    execute(own, "UPDATE config_revision SET revision = 3")
    copy(own, tmp_path / "backup.db", 1)
    execute(own, "UPDATE config_revision SET revision = 5")
    return own


@pytest.fixture
def backup(path: Path, tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


def restored(path: Path, backup: Path, *, force: bool = False) -> restore.RestoredFile:
    return restore.restore(path, backup, NOON, 0.3, force=force)


def listing(path: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in path.parent.iterdir()
        if not file.name.endswith((".lock", ".running", ".commands"))
    }


def refusal(path: Path, backup: Path, kind: type[Exception]) -> str:
    """Return the message of a refused restore. All files must be unchanged."""
    before = listing(path)
    with pytest.raises(kind) as told:
        restored(path, backup)
    assert listing(path) == before
    assert len(told.value.message.splitlines()) == 1
    return told.value.message


def test_a_backup_takes_the_place_and_what_was_there_is_kept(path, backup):
    done = restored(path, backup)
    assert (done.file, done.schema, done.kept) == (path, migrations.head(), path.with_name(KEPT))
    assert revision(path) == 3
    assert revision(path.with_name(KEPT)) == 5
    assert path.stat().st_mode & 0o777 == 0o600
    migrations.upgrade(path, 1)


def test_the_journal_that_was_there_goes_along_with_its_database(path, backup):
    crashed(path)
    restored(path, backup)
    assert not Path(f"{path}-wal").exists()
    assert (revision(path), revision(path.with_name(KEPT))) == (3, 6)
    migrations.upgrade(path, 1)


def test_what_was_kept_can_be_put_back_with_its_journal(path, backup):
    crashed(path)
    restored(path, backup)
    restored(path, path.with_name(KEPT))
    assert revision(path) == 6
    migrations.upgrade(path, 1)


def test_a_lost_database_is_restored_beside_what_it_left(path, backup):
    crashed(path)
    path.unlink()
    assert restored(path, backup).kept is None
    assert not Path(f"{path}-wal").exists()
    assert path.with_name(f"{KEPT}-wal").exists()
    migrations.upgrade(path, 1)
    assert revision(path) == 3


def test_a_backup_is_restored_where_there_was_nothing(backup, tmp_path):
    new = tmp_path / "new" / "governance.db"
    assert restored(new, backup).kept is None
    assert new.parent.stat().st_mode & 0o777 == 0o700
    migrations.upgrade(new, 1)
    assert revision(new) == 3


def test_a_backup_on_a_disk_that_is_only_read_is_restored_without_a_trace_there(path, backup, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    backup.rename(folder / "backup.db")
    folder.chmod(0o555)
    restored(path, folder / "backup.db")
    assert [file.name for file in folder.iterdir()] == ["backup.db"]


@pytest.mark.parametrize("version", ["0001", "0003"])
def test_a_backup_of_an_older_schema_is_restored_and_migrated_by_the_start(path, tmp_path, version):
    of_revision(tmp_path / "old.db", version)
    assert restored(path, tmp_path / "old.db").schema == version
    migrations.upgrade(path, 1)
    assert marker.Marker.read(path) is not None


DAMAGE = {
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_bytes(b"this is no database\n" * 50),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "cut off by a page": lambda file: file.write_bytes(file.read_bytes()[:-4096]),
    "damaged": lambda file: file.write_bytes(file.read_bytes()[:8192] + b"\xaa" * (file.stat().st_size - 8192)),
    "another program's": lambda file: execute(file, "DROP TABLE model_limits"),
    "missing": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_backup_that_is_not_whole_or_not_ours_changes_nothing(path, backup, damage):
    damage(backup)
    assert "Give a BACKUP that is a whole database of this service" in refusal(path, backup, InvalidRequest)


def test_a_backup_of_a_newer_schema_changes_nothing(path, backup):
    execute(backup, "UPDATE alembic_version SET version_num = '9999'")
    assert "newer version" in refusal(path, backup, NotReady)


def test_a_backup_of_another_database_is_restored_only_by_force(path, tmp_path):
    other = tmp_path / "other" / "governance.db"
    migrations.upgrade(other, 1)
    copy(other, tmp_path / "other.db", 1)
    assert "--force" in refusal(path, tmp_path / "other.db", Conflict)
    restored(path, tmp_path / "other.db", force=True)
    migrations.upgrade(path, 1)


@pytest.mark.parametrize("name", ["governance.db", "governance.db-wal", "governance.db.id"])
def test_the_database_itself_is_no_backup(path, name):
    assert "belongs to the database itself" in refusal(path, path.with_name(name), InvalidRequest)


def test_nothing_is_restored_while_the_service_runs(path, backup):
    lock = ServiceLock(path)
    lock.begin()
    assert "Stop the service first: process " in refusal(path, backup, Conflict)
    lock.end()
    restored(path, backup)


def test_nothing_is_restored_while_a_command_has_the_database_open(path, backup):
    with opened_by_command(path, 1):
        said = refusal(path, backup, Conflict)
    assert said.startswith(f"End the other command first: process {os.getpid()} (")
    assert restored(path, backup).kept is not None


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT * FROM config_revision").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_nothing_is_restored_while_another_program_has_the_database_open(path, backup):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], text=True, **pipes) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(Conflict, match=rf"^End python.* \({other.pid}\) first"):
            restored(path, backup)
        other.communicate()
    assert restored(path, backup).kept is not None


def test_a_command_waits_for_a_restore_and_says_so(path):
    with service_lock.without_commands(path, 1), pytest.raises(NotReady) as told, opened_by_command(path, 0.05):
        pass
    assert f"is being restored, process {os.getpid()} (" in told.value.message


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_command_goes_on_where_its_lock_cannot_be_made(path, monkeypatch, error):
    def full(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(private_files, "create", full)
    with opened_by_command(path, 1):
        pass


def test_a_link_in_the_place_of_the_commands_lock_is_not_followed(path, backup, tmp_path):
    Path(f"{path}.commands").symlink_to(tmp_path / "elsewhere")
    with opened_by_command(path, 1):
        pass
    assert "symbolic links" in refusal(path, backup, NotReady)
    assert not (tmp_path / "elsewhere").exists()


def test_two_restores_in_one_second_keep_both(path, backup):
    names = {restored(path, backup).kept.name for _ in range(3)}
    assert names == {KEPT, f"{KEPT}-2", f"{KEPT}-3"}


KILLED = """
import os, signal, sys
from pathlib import Path
from governance.storage import private_files
from governance.storage.sqlite.files import restore
calls = [0]
def die(function):
    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return counted
for name in ("create", "sync", "fill"):
    setattr(private_files, name, die(getattr(private_files, name)))
Path.replace, Path.rename = die(Path.replace), die(Path.rename)
restore.restore(Path(sys.argv[1]), Path(sys.argv[2]), 0, 1, force=False)
"""


def test_a_restore_that_is_killed_at_any_step_leaves_one_state_or_the_other_or_says_so(path, backup, tmp_path):
    crashed(path)
    for step in range(1, 100):
        folder = tmp_path / str(step)
        shutil.copytree(path.parent, folder)
        file = folder / path.name
        command = [sys.executable, "-c", KILLED, str(file), str(backup), str(step)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        if file.exists():
            migrations.upgrade(file, 1)
            assert revision(file) in {3, 6}
        else:
            with pytest.raises(NotReady, match="flask governance restore BACKUP"):
                migrations.upgrade(file, 1)
            restored(file, backup)
            migrations.upgrade(file, 1)
            assert revision(file) == 3
    assert 8 < step < 99


class TestBeginAnew:
    """Tests of `flask governance init`."""

    def test_makes_a_database_where_one_was_lost_and_keeps_its_journal(self, path):
        crashed(path)
        old = marker.Marker.read(path)
        path.unlink()
        restore.begin_anew(path, NOON, 1)
        migrations.upgrade(path, 1)
        assert revision(path) == 0
        assert marker.Marker.read(path).database_id != old.database_id
        assert path.with_name(f"{KEPT}-wal").exists()

    def test_keeps_a_database_that_is_there(self, path):
        before = listing(path)
        with pytest.raises(Conflict, match="is there already, and is kept"):
            restore.begin_anew(path, NOON, 1)
        assert listing(path) == before

    def test_waits_for_the_service_to_stop(self, path):
        lock = ServiceLock(path)
        lock.begin()
        path.unlink()
        with pytest.raises(Conflict, match="Stop the service first"):
            restore.begin_anew(path, NOON, 1)
        lock.end()


def test_a_backup_says_that_it_is_a_copy_and_changes_nothing_else(path, backup):
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(backup)) as two:
        one.execute("UPDATE config_revision SET revision = 3")
        assert list(one.iterdump()) == list(two.iterdump())
        stamps = {connection.execute("PRAGMA user_version").fetchone()[0] for connection in (one, two)}
    assert len(stamps) == 2
