"""The service is ready if it can decide.

Each obstacle to a written decision appears in /readyz within about a second.
"""

import fcntl
import sqlite3
from contextlib import closing, contextmanager
from queue import SimpleQueue
from threading import Thread
from time import monotonic

import pytest
from sqlalchemy import select

from governance.services.operations import health
from governance.storage.sqlite.writer import health as fate
from governance.storage.tables import config_revision

CALL = {"model": "gpt-4o", "cost": 0.01}
LIMIT = {"budget": {"max_limit": 10, "reset_duration": "1d"}}


@pytest.fixture
def nobody(api, monkeypatch):
    """Return a client without a key. The service makes a new check at each request."""
    monkeypatch.setattr(fate, "FRESH", 0.0)
    monkeypatch.setattr(fate, "REMEMBERED", 0.0)
    api.create(**LIMIT)
    assert api.post("reservations", CALL).status_code == 200
    return api.with_key(None)


def ready(nobody):
    """Return None if /readyz says ready, else the reason."""
    began = monotonic()
    response = nobody.get("/readyz")
    assert monotonic() - began < 1.5
    return None if response.status_code == 200 else response.get_json()["error"]["message"]


def cut_off(governance, pragma):
    governance.group.submit(lambda batch: batch._execute(f"PRAGMA {pragma}"))


@contextmanager
def database_locked(settings):
    with closing(sqlite3.connect(settings.database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def turn_held(settings):
    with settings.database_path.with_name("governance.db.queue").open("a") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("held", [database_locked, turn_held])
def test_a_held_lock_is_a_reason_as_long_as_it_is_held(api, nobody, settings, held):
    assert ready(nobody) is None
    with held(settings):
        assert api.post("reservations", CALL).status_code == 503
        assert "keeps the writer waiting" in ready(nobody) or "holds its lock" in ready(nobody)
    assert api.post("reservations", CALL).status_code == 200
    assert ready(nobody) is None


def test_a_database_that_cannot_be_written_is_a_reason(api, nobody, governance):
    cut_off(governance, "query_only = 1")
    assert "it is read-only" in ready(nobody)
    assert ready(nobody) is None  # the writer has opened a new connection


def test_a_thread_that_cannot_be_started_is_a_reason_and_is_started_later(api, nobody, governance, monkeypatch):
    governance.group.stop()

    def fail(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(Thread, "start", fail)
        assert "no thread left for the writer" in ready(nobody)
        response = api.post("reservations", CALL)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert ready(nobody) is None
    assert api.post("reservations", CALL).status_code == 200


def test_a_writer_that_is_cut_off_tells_its_callers_and_goes_on(api, nobody, governance):
    def leave(batch):
        batch.touch()
        raise SystemExit

    with pytest.raises(Exception, match="cut off in the middle"):
        governance.group.submit(leave)
    assert ready(nobody) is None
    assert api.post("reservations", CALL).status_code == 200


def test_a_writer_thread_that_ended_is_started_again(api, nobody, governance):
    thread = governance.group._thread
    governance.group._queue.put(None)
    thread.join(10)
    assert not thread.is_alive()
    assert ready(nobody) is None
    assert api.post("reservations", CALL).status_code == 200


class Broken(SimpleQueue):
    """A queue that ends the thread that reads it."""

    def get(self, *_, **__):
        raise SystemExit


def test_a_writer_thread_that_does_not_stay_alive_is_a_reason_until_it_does(api, nobody, governance):
    group = governance.group
    group.stop()
    whole, group._queue = group._queue, Broken()
    response = api.post("reservations", CALL)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    for _ in range(2):
        group._thread.join(10)
        assert "the writer has ended unexpectedly" in ready(nobody)
    group._thread.join(10)
    group._queue = whole
    assert "the writer has ended unexpectedly" in ready(nobody)  # the thread was started again
    assert ready(nobody) is None
    assert api.post("reservations", CALL).status_code == 200


def test_a_damaged_table_is_a_reason_until_calls_are_written_again(api, nobody, governance, settings):
    governance.group.submit(lambda _: None)
    with closing(sqlite3.connect(settings.database_path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'reservations'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with settings.database_path.open("r+b") as file:
        file.seek((page - 1) * size)
        good = file.read(size)
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    governance.group.stop()
    governance.database.engine.dispose()
    assert api.post("reservations", CALL).status_code == 503
    for _ in range(3):
        assert "corrupt" in ready(nobody)
    with settings.database_path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(good)
    governance.group.stop()
    governance.database.engine.dispose()
    assert api.post("reservations", CALL).status_code == 200
    assert ready(nobody) is None


def test_a_disk_that_is_all_but_full_is_a_reason(nobody, monkeypatch):
    monkeypatch.setattr(health, "LEAST_FREE", 2**63)
    assert ready(nobody).startswith("Free some space: ")


def test_what_is_written_to_try_it_shows_nowhere(api, nobody, database):
    def state():
        with database.read() as connection:
            return (
                connection.execute(select(config_revision.c.revision)).scalar_one(),
                api.list(),
                api.list(memory=True),
            )

    before = state()
    assert ready(nobody) is None
    assert state() == before
