"""Stop, kill and restart: acknowledged writes stay, and requests in progress are finished if possible."""

import os
import re
import signal
import sqlite3
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.process.service import Service, SlowPost, state, until

pytestmark = pytest.mark.process


def models(database: Path) -> set[str]:
    """Return the models of the limits in a database file."""
    with closing(sqlite3.connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT model_name FROM model_limits")}


def master_listens(service: Service) -> bool:
    with suppress(FileNotFoundError):  # the file was closed during the check
        links = Path(f"/proc/{service.pid}/fd").iterdir()
        return any(os.readlink(link).startswith("socket:") for link in links)  # noqa: PTH115 - a socket is no path
    return True


def handles_signals(worker: int) -> bool:
    """Return whether a worker has installed its handlers. SIGABRT, which the master does not handle, comes last."""
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{worker}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGABRT - 1) & 1)


def takes_requests(service: Service) -> bool:
    with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", service.port, timeout=0.3)) as probe:
        probe.request("GET", "/healthz")
        return probe.getresponse().status == 200
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_in_flight_is_finished_before_the_service_ends(service, workers):
    made = service(WEB_CONCURRENCY=workers).start()
    slow = SlowPost(made, {"model_name": "in flight", "provider": "openai"})
    made.process.send_signal(signal.SIGTERM)
    until(lambda: not master_listens(made))
    until(lambda: not takes_requests(made))
    assert made.process.poll() is None
    assert slow.finish() == 200
    assert made.process.wait(20) == 0
    assert models(made.database) == {"in flight"}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_ends_at_once_with_0_and_without_a_traceback(service, stop):
    made = service(WEB_CONCURRENCY="2").start()
    made.create("kept")
    made.process.send_signal(stop)
    assert made.process.wait(10) == 0
    assert models(made.database) == {"kept"}
    assert "Traceback" not in made.stderr.read_text()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_stopped_while_its_worker_starts_ends_without_a_traceback(service, stop):
    made = service()
    made.launch()
    until(lambda: any(handles_signals(worker) for worker in made.workers))
    made.process.send_signal(stop)
    assert made.process.wait(20) == 0
    assert "Traceback" not in made.stderr.read_text()


def test_a_service_that_ended_leaves_all_it_knew_in_the_one_file(service):
    made = service(WEB_CONCURRENCY="2").start()
    made.create("kept")
    made.process.terminate()
    assert made.process.wait(10) == 0
    copy = made.folder / "copy.db"
    copy.write_bytes(made.database.read_bytes())
    assert models(copy) == {"kept"}


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
    # Without locks of its own, a worker would write to a journal that another process has deleted at its close.
    assert models(made.database) == {"answered by an orphan"}


def test_prometheus_own_folder_is_neither_used_nor_removed(service, tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "of another service.db").write_text("not ours")
    made = service(PROMETHEUS_MULTIPROC_DIR=str(folder)).start()
    made.process.terminate()
    assert made.process.wait(10) == 0
    assert [file.name for file in folder.iterdir()] == ["of another service.db"]


def test_a_service_that_ended_leaves_no_folder_of_its_own_behind(service):
    made = service().start()
    made.process.terminate()
    assert made.process.wait(10) == 0
    assert sorted(file.name for file in made.folder.iterdir()) == ["instance", "stderr.txt", "stdout.txt"]
    assert not (made.instance / "metrics").exists()
