"""A database file that is deleted or replaced while a service runs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.service import MODEL_CONFIGS, Service

pytestmark = pytest.mark.process


@pytest.fixture
def running(service) -> Service:
    """Return a service with two workers whose snapshots never expire. Both have one limit."""
    made = service(WEB_CONCURRENCY="2", GOVERNANCE_POLL_INTERVAL="86400").start()
    made.create("kept")
    for worker in made.workers:
        with made.only(worker):
            made.create(f"known to {worker}")
    return made


def backup(made: Service) -> Path:
    copy = made.folder / "backup.db"
    with closing(sqlite3.connect(made.database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def delete(made: Service) -> None:
    for file in made.instance.glob("governance.db*"):
        file.unlink()


def test_a_database_that_was_deleted_is_told_by_every_worker_and_not_made_anew(running):
    delete(running)
    for worker in running.workers:
        with running.only(worker):
            for method, body in (("GET", None), ("POST", {"model_name": "new"})):
                answer = running.call(method, MODEL_CONFIGS, body)
                assert (answer.status, answer.body["error"]["code"]) == (503, "database_unavailable"), answer
                assert "Retry-After" in answer.headers
                assert str(running.instance) not in str(answer.body)
            ready = running.call("GET", "/readyz")
            assert (ready.status, ready.body["error"]["code"]) == (503, "not_ready")
            assert running.call("GET", "/healthz").status == 200
    assert not any((running.instance / name).exists() for name in ("governance.db", "governance.db-wal"))


def test_memory_answers_on_without_the_database(running):
    delete(running)
    for worker in running.workers:
        with running.only(worker):
            assert "kept" in running.names(from_memory=True)


def test_a_backup_in_its_place_is_used_by_every_worker_and_what_is_then_written_is_in_it(running):
    copy, before = backup(running), running.names()
    running.create("after the backup")
    delete(running)
    copy.replace(running.database)
    for worker in running.workers:
        with running.only(worker):
            assert "after the backup" not in running.names()
            running.create(f"into the backup by {worker}")
    assert running.names() == before | {f"into the backup by {worker}" for worker in running.workers}
