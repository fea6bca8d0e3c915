"""The writer thread is killed at random times. Callers that repeat with their Idempotency-Key are counted once each."""

import logging
import random
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from governance.storage.sqlite.writer import group_commit, waiting
from tests.conftest import Api
from tests.metering.conftest import dollars, ok

CALLERS, CALLS = 6, 90


class KilledError(BaseException):
    """An error that no exception handler catches."""


class Killer:
    """Ends the thread: between batches, in a batch before its commit, or before its callers are woken."""

    def __init__(self, seed):
        self._chance = random.Random(seed)
        self.kills = 0

    def __call__(self, act):
        def killing(*args):
            if self._chance.random() < 0.25:
                self.kills += 1
                raise KilledError
            return act(*args)

        return killing


@pytest.mark.parametrize("seed", range(3))
def test_counts_stay_exact_whenever_the_writer_is_killed(meter, app, monkeypatch, seed):
    def call(number):
        client = Api(app.test_client())
        body, headers = {"model": "gpt-4o", "cost": 0.01}, {"Idempotency-Key": f"call-{number}"}
        for _ in range(500):
            response = client.post("reservations", body, headers=headers)
            if response.status_code == 200:
                return ok(response)["reservation"]["id"]
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        raise AssertionError("it was never this caller's turn")

    killer = Killer(seed)
    limit = meter.api.create(budget=dollars(100))
    group = meter.governance.group
    monkeypatch.setattr(logging.getLogger("governance.storage"), "disabled", True)
    with monkeypatch.context() as broken:
        group.stop()
        broken.setattr(group_commit, "end_all", killer(waiting.end_all))
        broken.setattr(group_commit, "do_together", killer(waiting.do_together))
        broken.setattr(group, "_queue", Queue(killer))
        with ThreadPoolExecutor(CALLERS) as pool:
            ids = list(pool.map(call, range(CALLS)))
        group.stop()
    assert killer.kills > 5
    assert len(set(ids)) == CALLS
    assert meter.stands(limit) == {"cost": (0, CALLS / 100)}
    assert meter.proven() == 1


class Queue(SimpleQueue):
    """A queue that sometimes kills the thread when the thread looks for the next batch."""

    def __init__(self, killer):
        self._look = killer(lambda: None)

    def get(self, *args, **kwargs):
        self._look()
        return super().get(*args, **kwargs)
