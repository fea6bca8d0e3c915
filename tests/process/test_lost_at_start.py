"""Starts in a folder in which a file is lost, misspelt, replaced or unexpected."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.process.service import ROOT, Service, until
from tests.process.test_backup import FLASK, done, launched

pytestmark = pytest.mark.process


def stopped(made: Service, how: int = signal.SIGTERM) -> None:
    """Stop the service. For SIGKILL, kill all its processes."""
    if how == signal.SIGKILL:
        os.killpg(made.pid, how)
        made.process.wait(20)
    else:
        os.kill(made.pid, how)
        assert made.process.wait(20) == 0


def refused(made: Service) -> str:
    """Return the one line with which a start ends."""
    made.stderr.write_text("")
    assert made.launch().wait(30) != 0
    (line,) = made.stderr.read_text().splitlines()
    return line


def marked(made: Service) -> dict[str, object]:
    return dict(json.loads(Path(f"{made.database}.id").read_text()))


def test_a_lost_database_stops_the_start_and_keeps_the_key(service):
    made = service().start()
    key = made.key
    stopped(made)
    made.database.unlink()
    assert "is missing" in refused(made)
    assert not made.database.exists()
    assert (made.instance / "admin.key").read_text().strip() == key
    assert "a new, empty database" in done(made, "init")
    made.start()
    assert made.call("GET", "/api/api-keys", key=key).status == 200


def test_a_mistyped_database_stops_the_start(service):
    made = service().start()
    stopped(made)
    mistyped = service(made.folder, GOVERNANCE_DATABASE_URL="sqlite:///govrenance.db")
    assert "admin.key is of an earlier one" in refused(mistyped)
    assert not (made.instance / "govrenance.db").exists()


def test_a_backup_beside_the_journal_of_a_killed_service_stops_the_start_and_is_restored_by_the_command(service):
    made = service().start()
    kept = made.create("kept")
    done(made, "backup", str(made.folder / "backup.db"))
    made.create("after the backup")
    stopped(made, signal.SIGKILL)
    assert Path(f"{made.database}-wal").stat().st_size
    shutil.copy(made.database, made.folder / "before.db")
    shutil.copy(made.folder / "backup.db", made.database)
    assert "was replaced beside the journal" in refused(made)
    done(made, "restore", str(made.folder / "backup.db"))
    made.start()
    assert made.names() == {"kept"}
    assert made.call("GET", f"/api/governance/model-configs/{kept}").status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_only_a_clean_stop_is_marked_as_one(service, how):
    made = service(WEB_CONCURRENCY="2").start()
    made.create("kept")
    assert marked(made)["size"] is None
    stopped(made, how)
    assert marked(made)["size"] == (made.database.stat().st_size if how == signal.SIGTERM else None)
    made.start()
    assert made.names() == {"kept"}


def test_a_stop_after_a_reload_is_clean_too(service):
    made = service().start()
    before = set(made.workers)
    os.kill(made.pid, signal.SIGHUP)
    until(lambda: made.workers and not before & set(made.workers) and made.is_ready())
    stopped(made)
    assert marked(made)["size"] == made.database.stat().st_size


def test_nothing_is_restored_while_a_worker_lives(service):
    made = service().start()
    done(made, "backup", str(made.folder / "backup.db"))
    (worker,) = made.workers
    os.kill(worker, signal.SIGSTOP)
    os.kill(made.pid, signal.SIGKILL)
    process = launched(made, "restore", str(made.folder / "backup.db"))
    stderr = process.communicate(timeout=60)[1]
    assert (process.returncode, stderr.startswith("Stop the service first: ")) == (1, True), stderr
    made.end()
    done(made, "restore", str(made.folder / "backup.db"))


def test_nothing_is_restored_while_a_sync_waits_for_its_yes(service):
    made = service().start()
    done(made, "backup", str(made.folder / "backup.db"))
    stopped(made)
    terminal, inside = os.openpty()
    words = [FLASK, "governance", "sync", "examples/config.json"]
    environ = os.environ | made.environ
    sync = subprocess.Popen(words, cwd=ROOT, env=environ, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    shown = b""
    while b"Apply this?" not in shown:
        shown += os.read(terminal, 1000)
    process = launched(made, "restore", str(made.folder / "backup.db"))
    stderr = process.communicate(timeout=60)[1]
    os.write(terminal, b"n\n")
    assert sync.wait(20) == 0
    os.close(terminal)
    last = stderr.splitlines()[-1]
    assert last.startswith(f"End the other command first: process {sync.pid} (flask) holds the lock"), stderr
    done(made, "restore", str(made.folder / "backup.db"))


def test_a_lock_that_is_held_is_told_while_the_start_waits(service):
    made = service()
    made.instance.mkdir(mode=0o700)
    with Path(f"{made.database}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.launch()
        until(lambda: f"process {os.getpid()} (" in made.stderr.read_text())
    until(made.is_ready)


def test_the_umask_opens_nothing(service):
    before = os.umask(0)
    try:
        made = service().start()
        made.create("for the journal")
        done(made, "verify")
    finally:
        os.umask(before)
    files = [made.instance, *made.instance.rglob("*")]
    modes = {str(file): file.stat().st_mode & 0o777 for file in files}
    assert modes == {str(file): 0o700 if file.is_dir() else 0o600 for file in files}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave files that others cannot use")
def test_what_a_command_of_root_makes_belongs_to_the_services_user(service):
    made = service().start()
    stopped(made)
    nobody = 65534
    for file in (made.instance, *made.instance.iterdir()):
        os.chown(file, nobody, nobody)
    for end in (".queue", ".lock", ".running"):
        Path(f"{made.database}{end}").unlink()
    done(made, "keys", "create", "ci", "--scope", "read", "--json")
    done(made, "backup", str(made.instance / "backup.db"))
    done(made, "restore", str(made.instance / "backup.db"))
    assert {file.name: file.stat().st_uid for file in made.instance.iterdir()} == dict.fromkeys(
        (file.name for file in made.instance.iterdir()), nobody
    )
