"""SIGHUP: the file of limits is applied again, new workers replace the old ones, and no data is lost."""

import fcntl
import json
import os
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.service import Service, until

pytestmark = pytest.mark.process

FAULTY = {"model_configs": [{"model_name": "a", "budgets": [{"max_limit": 0, "reset_duration": "1x"}]}]}


def limits(*names: str) -> dict[str, object]:
    return {"model_configs": [{"model_name": name} for name in names]}


def write(path: Path, content: object) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def reload(made: Service) -> None:
    """Send SIGHUP. Wait until only new workers answer."""
    old = set(made.workers)
    os.kill(made.pid, signal.SIGHUP)
    until(lambda: len(made.workers) == int(made.environ.get("WEB_CONCURRENCY", "1")) and not old & set(made.workers))
    until(made.is_ready)


def warnings(made: Service) -> list[list[str]]:
    """Return the warnings of each worker."""
    found = []
    for worker in made.workers:
        with made.only(worker):
            until(made.is_ready)
            found.append(made.call("GET", "/readyz").body["warnings"])
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    write(path, limits("first"))
    return path


def test_reload_applies_the_file_in_new_workers(service, config):
    made = service(GOVERNANCE_CONFIG=str(config), WEB_CONCURRENCY="2").start()
    write(config, limits("first", "second"))
    reload(made)
    for worker in made.workers:
        with made.only(worker):
            assert made.names(from_memory=True) == {"first", "second"}
    assert warnings(made) == [[], []]


@pytest.mark.parametrize("content", [FAULTY, "{", None], ids=["faults", "no JSON", "gone"])
def test_faulty_file_at_reload_keeps_the_service_and_warns_until_it_is_mended(service, config, content):
    made = service(GOVERNANCE_CONFIG=str(config), WEB_CONCURRENCY="2").start()
    if content is None:
        config.unlink()
    else:
        write(config, content)
    reload(made)
    assert made.names() == {"first"}
    for (warning,) in warnings(made):
        assert warning.startswith("config.json was not applied, faults: ")
    said = [line for line in made.stderr.read_text().splitlines() if " config.json" in line]
    assert len(said) >= 3
    assert "config.json was NOT applied" in said[-1]
    os.kill(made.workers[0], signal.SIGKILL)
    until(lambda: len(made.workers) == 2)
    assert [len(each) for each in warnings(made)] == [1, 1]
    write(config, limits("first", "mended"))
    reload(made)
    assert warnings(made) == [[], []]
    assert made.names() == {"first", "mended"}


def test_reload_keeps_the_warnings_of_the_start(service):
    first = service().start()
    first.create("kept")
    first.end()
    with closing(sqlite3.connect(first.database, isolation_level=None)) as connection:
        connection.execute("DELETE FROM api_keys")
    (first.instance / "admin.key").unlink()
    (first.instance / "admin.key").mkdir()
    again = service(first.folder)
    again.kept_key = "none"
    again.start()
    before = warnings(again)
    assert before[0][0].startswith("No admin key was made: ")
    reload(again)
    assert warnings(again) == before


def test_reload_keeps_metrics_and_takes_their_folder_away_at_the_end(service, config):
    made = service(GOVERNANCE_CONFIG=str(config)).start()
    (folder,) = made.instance.glob("metrics/*")
    reload(made)
    assert list(made.instance.glob("metrics/*")) == [folder]
    made.process.terminate()
    assert made.process.wait(20) == 0
    assert sorted(file.name for file in made.folder.iterdir()) == ["instance", "stderr.txt", "stdout.txt"]


def test_reload_without_a_file_replaces_the_workers(service):
    made = service().start()
    made.create("kept")
    reload(made)
    assert made.names() == {"kept"}
    assert warnings(made) == [[]]


def test_reload_that_cannot_write_warns(service, config):
    made = service(GOVERNANCE_CONFIG=str(config)).start()
    (made.instance / "virtual-keys.txt").mkdir()
    write(config, {"virtual_keys": [{"id": "team", "name": "Team"}]})
    reload(made)
    ((warning,),) = warnings(made)
    assert warning.startswith("config.json could not be written to the database; the limits of before are in force.")
    assert str(made.instance) not in warning
    assert "virtual-keys.txt: Is a directory" in made.stderr.read_text()


def catches(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def test_reload_asked_for_during_the_start_is_done_after_it(service, config):
    made = service(GOVERNANCE_CONFIG=str(config))
    made.instance.mkdir()
    with made.database.with_name("governance.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another service that migrates the database would hold this lock
        made.launch()
        until(lambda: catches(made.pid, signal.SIGHUP))
        os.kill(made.pid, signal.SIGHUP)
    until(lambda: made.stderr.read_text().count("config.json was applied: ") == 2)
    until(made.is_ready)
    assert made.names() == {"first"}
