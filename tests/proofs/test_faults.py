"""Faults during metering.

Each caller gets an answer within a bounded time, nothing is half done, and the service recovers.
"""

import fcntl
import os
import resource
import signal
import socket
import sqlite3
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from itertools import count
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from werkzeug.test import TestResponse

from governance.container import Container
from governance.domain.errors import Unavailable
from governance.domain.metering.reservation import Reservation
from governance.settings import Settings
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.store import UnitOfWork
from tests.conftest import Api
from tests.process.service import until
from tests.proofs.conftest import Started
from tests.proofs.serving import ADMIN_KEY, HOST, Reply, Service, script

LIMIT = {
    "model_name": "gpt-4o",
    "budgets": [{"max_limit": 1000, "reset_duration": "1d"}],
    "rate_limits": [{"request_max_limit": 10**6, "request_reset_duration": "1M"}],
}
CALL = {"model": "gpt-4o", "cost": 0.01}
CENT = 10**7
WORKERS = 2
MOST_CALLERS = 60
BOUNDED = 6.0
"""The seconds within which a caller must get an answer. The busy timeout is half a second."""

HOLDS_DATABASE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""
HOLDS_QUEUE = """
import fcntl, sys
queue = open(sys.argv[1] + ".queue", "a")
fcntl.flock(queue, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""
HOLDERS = pytest.mark.parametrize("holder", [HOLDS_DATABASE, HOLDS_QUEUE], ids=["the database", "the queue"])


def keyed(service: Service, key: str, body: dict[str, Any] | None = None) -> Reply:
    """Send one reservation with an Idempotency-Key on a connection of its own."""
    with service.caller() as caller:
        return caller.post("reservations", body or CALL, {"Idempotency-Key": key})


def assert_counted(service: Service, admitted: int) -> None:
    """Check that the limit has exactly one cent reserved for each of these reservations."""
    assert service.rows("SELECT COUNT(*) AS n FROM reservations") == [{"n": admitted}]
    counters = service.rows("SELECT metric, used, reserved FROM counters")
    assert {(row["metric"], row["used"], row["reserved"]) for row in counters} == {
        ("cost", 0, admitted * CENT),
        ("requests", 0, admitted),
    }
    service.assert_verified()


class Queue:
    """The processes in the queue of the writers, as the kernel lists them."""

    def __init__(self, service: Service) -> None:
        self._inode = str(service.database.with_name("governance.db.queue").stat().st_ino)

    def pids(self, *, waiting: bool) -> set[int]:
        """Return the processes that wait for the lock, or the process that has the lock."""
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        own = [row for row in rows if row[-3].rpartition(":")[2] == self._inode]
        return {int(row[-4]) for row in own if (row[1] == "->") == waiting}

    def everybody(self) -> set[int]:
        return self.pids(waiting=True) | self.pids(waiting=False)


class Crowd:
    """Callers, each with an Idempotency-Key."""

    def __init__(self, service: Service, pool: ThreadPoolExecutor) -> None:
        self._service = service
        self._pool = pool
        self._waiting: list[Future[Reply]] = []

    def call(self) -> None:
        self._waiting.append(self._pool.submit(keyed, self._service, f"key-{len(self._waiting)}"))

    def until_both_workers_are_in_line(self) -> None:
        """Start one caller after another, because the kernel decides which worker gets a connection."""
        until(lambda: len(self._service.workers) == WORKERS)
        queue, workers = Queue(self._service), set(self._service.workers)

        def are_in_line() -> bool:
            if len(self._waiting) < MOST_CALLERS:
                self.call()
            return workers <= queue.everybody()

        until(are_in_line)

    def told(self) -> list[int | None]:
        """Return the status that each caller got. It is None if the connection broke."""
        return [told(each) for each in self._waiting]


# The lock is held for too long.


@pytest.mark.process
@HOLDERS
def test_while_another_process_holds_a_lock_writers_are_told_in_time_and_readers_go_on(
    started: Started, holder: str
) -> None:
    service = started(GOVERNANCE_BUSY_TIMEOUT="0.5")
    with service.caller() as caller:
        limit = caller.create(**LIMIT)
        assert keyed(service, "before").status == 200
        with script(holder, str(service.database)):
            began = monotonic()
            with ThreadPoolExecutor(12) as pool:
                metering = [pool.submit(keyed, service, f"during-{number}") for number in range(8)]
                edits = [pool.submit(edit, service, limit["id"]) for _ in range(4)]
                for path in ("model-configs", "model-configs?from_memory=true", "reservations", "/healthz"):
                    assert caller.get(path).status == 200
                replies = [each.result() for each in metering + edits]
            assert monotonic() - began < BOUNDED
            assert {(reply.status, reply.code) for reply in replies} == {(503, "database_unavailable")}
            assert all(int(reply.headers["Retry-After"]) >= 1 for reply in replies)
            assert_counted_in_file(service, 1)
        after = [keyed(service, f"during-{number}") for number in range(8)]
        assert [reply.status for reply in after] == [200] * 8
        assert not any("Idempotent-Replayed" in reply.headers for reply in after)
        assert edit(service, limit["id"]).status == 200
        assert_counted(service, 9)


def edit(service: Service, limit_id: str) -> Reply:
    with service.caller() as caller:
        return caller.request(
            "PUT", f"model-configs/{limit_id}", {"calendar_aligned": True, "timezone": "Europe/Berlin"}
        )


def assert_counted_in_file(service: Service, admitted: int) -> None:
    """Check the same in the file, without the service, which cannot write now."""
    assert service.rows("SELECT reserved FROM counters WHERE metric = 'requests'") == [{"reserved": admitted}]
    assert service.rows("SELECT COUNT(*) AS n FROM reservations") == [{"n": admitted}]
    assert service.rows("SELECT COUNT(*) AS n FROM answers") == [{"n": admitted}]


@pytest.mark.process
@HOLDERS
def test_when_the_holder_of_a_lock_is_killed_the_queue_goes_on(started: Started, holder: str) -> None:
    service = started(GOVERNANCE_BUSY_TIMEOUT="20")
    with service.caller() as caller:
        caller.create(**LIMIT)
    with script(holder, str(service.database)) as process, ThreadPoolExecutor(MOST_CALLERS) as pool:
        crowd = Crowd(service, pool)
        crowd.until_both_workers_are_in_line()
        process.kill()
        statuses = crowd.told()
    assert set(statuses) == {200}
    assert_counted(service, len(statuses))


# A worker dies.


@pytest.mark.process
@pytest.mark.parametrize(
    ("holder", "waiting"),
    [(HOLDS_DATABASE, False), (HOLDS_DATABASE, True), (HOLDS_QUEUE, True)],
    ids=["in its transaction", "while another is in its transaction", "before its turn"],
)
def test_a_worker_killed_in_the_middle_of_a_group_commit_leaves_nothing_half_done(
    started: Started, holder: str, *, waiting: bool
) -> None:
    service = started(GOVERNANCE_BUSY_TIMEOUT="20")
    with service.caller() as caller:
        caller.create(**LIMIT)
    with ThreadPoolExecutor(MOST_CALLERS) as pool:
        with script(holder, str(service.database)):
            crowd = Crowd(service, pool)
            crowd.until_both_workers_are_in_line()
            (victim, *_) = Queue(service).pids(waiting=waiting) & set(service.workers)
            os.kill(victim, signal.SIGKILL)
            until(lambda: victim not in service.workers)
        statuses = crowd.told()
    assert {None} <= set(statuses) <= {200, None}  # the other worker may have waited only for its poller
    until(lambda: len(service.workers) == WORKERS)
    until(service.is_ready)
    again = [keyed(service, f"key-{number}") for number in range(len(statuses))]
    assert {reply.status for reply in again} == {200}
    for before, reply in zip(statuses, again, strict=True):
        assert before is None or reply.headers["Idempotent-Replayed"] == "true"
    assert_counted(service, len(statuses))


def told(waiting: Future[Reply]) -> int | None:
    """Return the status that a caller got. It is None if the connection broke."""
    try:
        return waiting.result().status
    except (OSError, HTTPException):
        return None


@pytest.mark.process
def test_workers_killed_at_random_in_the_middle_of_their_batches_lose_and_double_nothing(started: Started) -> None:
    service = started()
    with service.caller() as caller:
        caller.create(**LIMIT)
    keys, enough = count(), Event()

    def call() -> dict[str, int | None]:
        heard: dict[str, int | None] = {}
        while not enough.is_set():
            key = f"key-{next(keys)}"
            try:
                heard[key] = keyed(service, key).status
            except (OSError, HTTPException):
                heard[key] = None
        return heard

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(call) for _ in range(8)]
        try:
            for _ in range(6):
                until(lambda: len(service.workers) == WORKERS)
                before = service.rows("SELECT COUNT(*) AS n FROM reservations")[0]["n"]
                until(lambda least=before + 20: service.rows("SELECT COUNT(*) AS n FROM reservations")[0]["n"] > least)
                os.kill(service.workers[0], signal.SIGKILL)
        finally:
            enough.set()
        heard = {key: status for each in running for key, status in each.result().items()}
    assert set(heard.values()) <= {200, None}
    until(lambda: len(service.workers) == WORKERS)
    for key, status in heard.items():
        if status is None:
            assert keyed(service, key).status == 200
    assert_counted(service, len(heard))


# The disk is full.


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with long timeouts for the app in this process, because the test lets callers wait."""
    return replace(settings, busy_timeout=20.0)


def test_a_full_disk_undoes_the_batch_and_the_same_keys_pass_once_there_is_room(
    api: Api, governance: Container, database: SqliteDatabase
) -> None:
    api.create(**LIMIT)
    assert in_process(api, "first").status_code == 200
    fill_the_disk(governance)
    replies: dict[str, TestResponse] = {}
    numbers = count()
    until(lambda: add(replies, f"key-{next(numbers)}", api).status_code != 200)
    with ThreadPoolExecutor(8) as pool:
        fill_the_disk(governance)
        list(pool.map(lambda key: add(replies, key, Api(api.client.application.test_client())), map(str, range(64))))
    refused = [key for key, reply in replies.items() if reply.status_code == 503]
    assert {reply.status_code for reply in replies.values()} == {200, 503}
    for key in refused:
        assert "the disk is full" in replies[key].text
        assert replies[key].headers["Retry-After"]
    assert count_in_process(database) == 1 + len(replies) - len(refused)
    again = [in_process(api, key) for key in refused]
    assert {reply.status_code for reply in again} == {200}
    assert not any("Idempotent-Replayed" in reply.headers for reply in again)
    assert count_in_process(database) == 1 + len(replies)
    assert governance.verification.verify() == (2, [])


def fill_the_disk(governance: Container) -> None:
    """Forbid new pages on the writer's connection. After the first error, the writer opens a new connection."""

    def fill(batch: UnitOfWork) -> None:
        (pages,) = batch._execute("PRAGMA page_count").fetchone()
        batch._execute(f"PRAGMA max_page_count = {pages}")

    governance.group.submit(fill)


def in_process(api: Api, key: str) -> TestResponse:
    body = CALL | {"user_id": "x" * 250}
    return api.post("reservations", body, headers={"Idempotency-Key": key})


def add(replies: dict[str, TestResponse], key: str, api: Api) -> TestResponse:
    replies[key] = in_process(api, key)
    return replies[key]


def count_of(database: SqliteDatabase, table: str) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one())


def count_in_process(database: SqliteDatabase) -> int:
    """Return the number of reservations. The same number of requests must be reserved."""
    with database.read() as connection:
        stored = connection.exec_driver_sql("SELECT COUNT(*) FROM reservations").scalar_one()
        held = connection.exec_driver_sql("SELECT reserved FROM counters WHERE metric = 'requests'").scalar_one()
    assert stored == held
    return int(held)


@pytest.mark.process
def test_while_files_cannot_grow_metering_is_503_and_lists_are_served_and_then_it_goes_on(started: Started) -> None:
    service = started()
    with service.caller() as caller:
        caller.create(**LIMIT)
        heard = {f"before-{number}": keyed(service, f"before-{number}").status for number in range(4)}
        assert set(heard.values()) == {200}
        with no_growth(service):
            numbers = count()
            until(lambda: noted(heard, service, f"until-{next(numbers)}") == 503)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda number: noted(heard, service, f"during-{number}"), range(32)))
            assert set(heard.values()) == {200, 503}
            assert [heard[f"during-{number}"] for number in range(32)].count(503) >= 16
            for path in ("model-configs", "model-configs?from_memory=true", "reservations"):
                assert caller.get(path).status == 200
            assert caller.get("/readyz").status == 503
        again = {key: keyed(service, key) for key in heard}
        assert {reply.status for reply in again.values()} == {200}
        for key, status in heard.items():
            assert ("Idempotent-Replayed" in again[key].headers) == (status == 200)
    assert_counted(service, len(heard))


@contextmanager
def no_growth(service: Service) -> Iterator[None]:
    """Limit each file that the workers write to the present size of the write-ahead log."""
    log = service.database.with_name("governance.db-wal")
    workers = service.workers
    endless = resource.RLIM_INFINITY
    for worker in workers:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (log.stat().st_size, endless))
    try:
        yield
    finally:
        for worker in workers:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (endless, endless))


def noted(heard: dict[str, int], service: Service, key: str) -> int:
    heard[key] = keyed(service, key).status
    return heard[key]


# An act raises an unexpected error.


class Line:
    """Acts that wait for one batch in a known order. Meanwhile the test holds the lock of the queue."""

    def __init__(self, governance: Container, pool: ThreadPoolExecutor) -> None:
        self._group = governance.group
        self._pool = pool
        self._waiting: list[Future[Any]] = []

    def add(self, act: Callable[[], Any]) -> None:
        self._waiting.append(self._pool.submit(act))
        until(lambda: self._group._thread is not None and self._group._queue.qsize() == len(self._waiting) - 1)

    def results(self) -> list[Any]:
        return [each.result() for each in self._waiting]


@contextmanager
def lined_up(governance: Container, database: Path) -> Iterator[Line]:
    """Yield a line whose acts are all done in one batch at the end of the block."""
    with ThreadPoolExecutor(16) as pool, database.with_name(f"{database.name}.queue").open("a") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        line = Line(governance, pool)
        # The writer takes one act from the queue before it waits for the lock. This act is that one.
        line.add(lambda: submitted(governance, nothing))
        yield line


def nothing(batch: UnitOfWork) -> None:
    """Do nothing, as an act."""


def boom(batch: UnitOfWork) -> None:
    """Raise an unexpected error, as an act."""
    raise ZeroDivisionError


def submitted(governance: Container, act: Callable[[UnitOfWork], None]) -> Exception | None:
    """Return the error that the caller of an act gets, or None."""
    try:
        governance.group.submit(act)
    except Exception as error:  # noqa: BLE001 - the test accepts any error
        return error
    return None


def test_an_unforeseen_exception_in_a_batch_is_its_own_callers_alone(
    api: Api, governance: Container, database: SqliteDatabase
) -> None:
    api.create(**LIMIT)
    clients = [Api(api.client.application.test_client()) for _ in range(10)]
    with lined_up(governance, database.path) as line:
        for number, client in enumerate(clients):
            if number == 5:
                line.add(lambda: submitted(governance, boom))
            line.add(lambda each=client, key=f"key-{number}": in_process(each, key))
    _, *replies = line.results()
    assert isinstance(replies.pop(5), ZeroDivisionError)
    assert [reply.status_code for reply in replies] == [200] * 10
    again = [in_process(api, f"key-{number}") for number in range(10)]
    assert [reply.status_code for reply in again] == [200] * 10
    assert all("Idempotent-Replayed" in reply.headers for reply in again)
    assert count_in_process(database) == 10
    assert governance.verification.verify() == (2, [])


def test_a_row_that_cannot_be_written_is_its_own_callers_alone(
    api: Api, governance: Container, database: SqliteDatabase
) -> None:
    def twice(batch: UnitOfWork) -> None:
        batch._new += [batch._new[-1] if batch._new else (1, *[None] * len(Reservation._fields))] * 2

    api.create(**LIMIT)
    clients = [Api(api.client.application.test_client()) for _ in range(4)]
    with lined_up(governance, database.path) as line:
        for number, client in enumerate(clients):
            line.add(lambda each=client, key=f"key-{number}": in_process(each, key))
        line.add(lambda: submitted(governance, twice))
    _, *replies, error = line.results()
    assert isinstance(error, sqlite3.IntegrityError)
    assert [reply.status_code for reply in replies] == [200] * 4
    assert count_in_process(database) == 4
    assert governance.verification.verify() == (2, [])


def test_what_is_done_again_without_an_act_is_decided_anew(
    api: Api, governance: Container, database: SqliteDatabase
) -> None:
    api.create(**LIMIT)
    held = in_process(api, "held").get_json()["reservation"]["id"]
    clients = [Api(api.client.application.test_client()) for _ in range(4)]
    with lined_up(governance, database.path) as line:
        line.add(lambda: clients[0].post(f"reservations/{held}/settle", {"cost": 0.01}))
        line.add(lambda: clients[1].post(f"reservations/{held}/settle", {"cost": 0.02}))
        line.add(lambda: in_process(clients[2], "key"))
        line.add(lambda: clients[3].post("reservations", CALL, headers={"Idempotency-Key": "key"}))
        line.add(lambda: submitted(governance, boom))
    _, *replies, _ = line.results()
    assert [reply.status_code for reply in replies] == [200, 409, 200, 422]
    assert api.get(f"reservations/{held}").get_json()["reservation"]["cost"]["used"] == 0.01


def test_trouble_with_the_database_after_a_failed_act_undoes_the_whole_batch(
    api: Api, governance: Container, database: SqliteDatabase
) -> None:
    def cut_off(batch: UnitOfWork) -> None:
        batch._execute("PRAGMA query_only = 1")
        raise ZeroDivisionError

    api.create(**LIMIT)
    with lined_up(governance, database.path) as line:
        line.add(lambda: in_process(api, "key"))
        line.add(lambda: submitted(governance, cut_off))
    _, reply, error = line.results()
    assert (reply.status_code, type(error)) == (503, Unavailable)
    assert count_of(database, "reservations") == 0
    assert in_process(api, "key").status_code == 200


# The caller has gone.


@pytest.mark.process
def test_what_callers_who_left_asked_for_counts_once_or_not_at_all_and_lapses(started: Started) -> None:
    service = started(GOVERNANCE_BUSY_TIMEOUT="20")
    with service.caller() as caller:
        caller.create(**LIMIT)
    with script(HOLDS_DATABASE, str(service.database)):
        for number in range(12):
            leave(service, f"key-{number}")
        until(lambda: Queue(service).pids(waiting=False))
    again = [keyed(service, f"key-{number}", CALL | {"ttl_seconds": 1}) for number in range(12)]
    assert [reply.status for reply in again] == [200] * 12
    assert len({reply.json()["reservation"]["id"] for reply in again}) == 12
    assert service.rows("SELECT COUNT(*) AS n FROM reservations") == [{"n": 12}]
    until(lambda: service.rows("SELECT COUNT(*) AS n FROM reservations WHERE status = 'open'") == [{"n": 0}])
    counters = service.rows("SELECT metric, used, reserved FROM counters")
    assert {tuple(row.values()) for row in counters} == {("cost", 12 * CENT, 0), ("requests", 12, 0)}
    service.assert_verified()


def leave(service: Service, key: str) -> None:
    """Send a complete request, and reset the connection without waiting for the response."""
    body = b'{"model": "gpt-4o", "cost": 0.01, "ttl_seconds": 1}'
    head = (
        f"POST /api/governance/reservations HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((HOST, service.port)) as connection:
        connection.sendall(head.encode() + body)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
