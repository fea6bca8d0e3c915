"""Stopped, killed and restarted: what was answered stays, and what is under way is finished where that can be."""

import os
import shutil
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.service import MODEL_CONFIGS, Service, SlowPost, state, until

pytestmark = pytest.mark.process


def models(database: Path) -> set[str]:
    """The models of the limits in a database file."""
    with closing(sqlite3.connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT model_name FROM model_limits")}


def takes_connections(service: Service) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", service.port)) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_in_flight_is_finished_before_the_service_ends(service, workers):
    made = service(WEB_CONCURRENCY=workers).start()
    slow = SlowPost(made, {"model_name": "in flight", "provider": "openai"})
    made.process.send_signal(signal.SIGTERM)
    until(lambda: not takes_connections(made))
    assert made.process.poll() is None
    assert slow.finish() == 200
    assert made.process.wait(20) == 0
    assert models(made.database) == {"in flight"}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_ends_at_once_with_0_and_leaves_one_database_file(service, stop):
    made = service(WEB_CONCURRENCY="2").start()
    made.create("kept")
    made.process.send_signal(stop)
    assert made.process.wait(10) == 0
    assert sorted(file.name for file in made.instance.iterdir() if file.suffix not in {".lock", ".queue"}) == [
        "admin.key",
        "governance.db",
    ]
    assert models(made.database) == {"kept"}
    assert "Traceback" not in made.stderr.read_text()


def test_what_only_a_worker_knew_is_written_down_when_it_ends(service):
    made = service(GOVERNANCE_POLL_INTERVAL="86400").start()
    made.names()
    made.process.terminate()
    assert made.process.wait(10) == 0
    with closing(sqlite3.connect(made.database)) as connection:
        ((used,),) = connection.execute("SELECT last_used_at FROM api_keys").fetchall()
    assert used is not None


def test_a_killed_worker_is_replaced_and_what_it_answered_is_there(service):
    made = service(WEB_CONCURRENCY="2").start()
    victim, other = made.workers
    with made.only(victim):
        made.create("answered just before")
        os.kill(victim, signal.SIGKILL)
    assert "answered just before" in made.names()
    until(lambda: len(made.workers) == 2 and victim not in made.workers)
    (fresh,) = [worker for worker in made.workers if worker != other]
    with made.only(fresh):
        assert made.names(from_memory=True) == {"answered just before"}
        made.create("made by the new one")
    with made.only(other):
        assert "made by the new one" in made.names()


def test_all_workers_killed_again_and_again_are_replaced_and_nothing_is_lost(service):
    made = service(WEB_CONCURRENCY="2").start()
    for attempt in range(3):
        made.create(f"attempt {attempt}")
        killed = made.workers
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        until(lambda killed=killed: len(made.workers) == 2 and not set(killed) & set(made.workers))
    assert made.names() == {"attempt 0", "attempt 1", "attempt 2"}
    with closing(sqlite3.connect(made.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_service_that_was_killed_as_a_whole_starts_again_with_all_it_answered(service):
    first = service(WEB_CONCURRENCY="2").start()
    names = {f"limit {number}" for number in range(5)}
    for name in names:
        first.create(name)
    first.end()
    again = service(first.folder).start()
    assert again.names() == names
    assert again.names(from_memory=True) == names


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_worker_answers_after_its_master_was_killed_is_not_lost_to_who_opens_the_database_next(service, workers):
    made = service(WEB_CONCURRENCY=workers).start()
    slow = SlowPost(made, {"model_name": "answered by an orphan", "provider": "openai"})
    os.kill(made.pid, signal.SIGKILL)
    until(lambda: state(made.pid) == "Z")
    models(made.database)
    assert slow.finish() == 200
    # FINDING: the workers were forked with the master's connection, so they hold no lock of their own: whoever opens
    # and closes the file next takes himself for the last and deletes governance.db-wal, with what is written to it.
    assert models(made.database) == {"answered by an orphan"}


def test_a_database_that_was_deleted_under_the_service_is_told_and_not_made_anew(service):
    made = service(WEB_CONCURRENCY="2", GOVERNANCE_POLL_INTERVAL="86400").start()
    made.create("gone")
    made.process.terminate()
    made.process.wait(10)
    copy = Path(shutil.copy(made.database, made.folder / "backup.db"))
    made.start()
    until(lambda: made.names(from_memory=True) == {"gone"})
    for file in made.instance.glob("governance.db*"):
        file.unlink()
    for _ in range(4):
        for method, body in (("GET", None), ("POST", {"model_name": "new"})):
            answer = made.call(method, MODEL_CONFIGS, body)
            assert (answer.status, answer.body["error"]["code"]) == (503, "database_unavailable"), answer
            assert "Retry-After" in answer.headers
            assert str(made.instance) not in str(answer.body)
        assert made.names(from_memory=True) == {"gone"}
    assert made.call("GET", "/readyz").status == 503
    assert made.call("GET", "/healthz").status == 200
    assert not any(file.name in {"governance.db", "governance.db-wal"} for file in made.instance.iterdir())
    copy.replace(made.database)
    for _ in range(8):
        assert made.names() == {"gone"}
    made.create("after the backup")


def test_a_metrics_folder_of_the_operator_s_is_not_removed(service, tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "of another service.db").write_text("not ours")
    made = service(PROMETHEUS_MULTIPROC_DIR=str(folder)).start()
    made.process.terminate()
    assert made.process.wait(10) == 0
    # FINDING: gunicorn.conf.py removes whatever folder PROMETHEUS_MULTIPROC_DIR names, also one it did not make.
    assert (folder / "of another service.db").exists()


def test_a_service_that_ended_leaves_no_folder_of_its_own_behind(service):
    made = service().start()
    made.process.terminate()
    assert made.process.wait(10) == 0
    assert sorted(file.name for file in made.folder.iterdir()) == ["instance", "stderr.txt", "stdout.txt"]
