"""A writer is stuck: the worker still answers other requests, and a stopped process that has the lock is continued."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from itertools import count
from threading import Event
from time import monotonic

import pytest

from tests.process.service import state, until
from tests.proofs.conftest import Started
from tests.proofs.serving import Caller, Service, script
from tests.proofs.test_faults import HOLDERS, HOLDS_DATABASE, LIMIT, Queue, assert_counted, keyed

pytestmark = pytest.mark.process


class Crowd:
    """Callers that reserve again after each response, with the status and the waiting time of each response."""

    def __init__(self, service: Service, callers: int) -> None:
        self.service = service
        self.told: list[tuple[str, int | None, float]] = []
        self._keys = count()
        self._enough = Event()
        self._pool = ThreadPoolExecutor(callers)
        self._running = [self._pool.submit(self._call) for _ in range(callers)]

    def _call(self) -> None:
        while not self._enough.is_set():
            key, began = f"key-{next(self._keys)}", monotonic()
            status = status_of(self.service, key)
            self.told.append((key, status, monotonic() - began))
            if status != 200:
                self._enough.wait(0.05)

    def stop(self) -> None:
        self._enough.set()
        self._pool.shutdown()


def status_of(service: Service, key: str) -> int | None:
    """Return the status of one call. It is None if the connection broke."""
    try:
        return keyed(service, key).status
    except (OSError, HTTPException):
        return None


def answers_within(seconds: float, caller: Caller, path: str, **headers: str) -> int:
    began = monotonic()
    status = caller.request("GET", path, headers=headers).status
    assert monotonic() - began < seconds, path
    return status


@HOLDERS
def test_while_64_callers_wait_for_a_lock_everything_else_is_answered(started: Started, holder: str) -> None:
    service = started(WEB_CONCURRENCY="1", THREADS="16")
    with service.caller() as caller:
        caller.create(**LIMIT)
        assert keyed(service, "before").status == 200
    with script(holder, str(service.database)):
        crowd = Crowd(service, 64)
        try:
            until(lambda: any(status == 503 for _, status, _ in crowd.told))
            for _ in range(3):
                with service.caller() as caller:
                    assert answers_within(1, caller, "/healthz") == 200
                    assert answers_within(2, caller, "/readyz") == 503
                    assert answers_within(1, caller, "model-configs?from_memory=true") == 200
                    assert answers_within(1, caller, "model-configs") == 200
                    assert answers_within(1, caller, "model-configs", Authorization="Bearer no") == 401
        finally:
            crowd.stop()
    assert {status for _, status, _ in crowd.told} == {503}
    assert max(seconds for *_, seconds in crowd.told) < 6.5
    until(lambda: keyed(service, "after").status == 200)
    assert_counted(service, 2)


def test_a_stopped_worker_that_has_the_turn_holds_nobody_up_for_long(started: Started) -> None:
    service = started()
    with service.caller() as caller:
        caller.create(**LIMIT)
    with script(HOLDS_DATABASE, str(service.database)) as holder:
        crowd = Crowd(service, 24)
        try:
            (victim, *_) = until(lambda: Queue(service).pids(waiting=False) & set(service.workers))
            os.kill(victim, signal.SIGSTOP)
            until(lambda: state(victim) == "T")
            holder.kill()
            stopped, before = monotonic(), len(crowd.told)
            until(lambda: any(status == 200 for _, status, _ in crowd.told[before:]))
            assert monotonic() - stopped < 5
            assert state(victim) != "T"
        finally:
            crowd.stop()
    assert {status for _, status, _ in crowd.told} <= {200, 503}
    again = [keyed(service, key) for key, *_ in crowd.told]
    assert {reply.status for reply in again} == {200}
    for (_, status, _), reply in zip(crowd.told, again, strict=True):
        assert status != 200 or reply.headers["Idempotent-Replayed"] == "true"
    assert_counted(service, len(crowd.told))
    assert victim in service.workers
