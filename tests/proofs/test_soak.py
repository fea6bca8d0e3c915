"""Calls at a steady rate with a short retention. After a warm-up, file, journal, memory and descriptors do not grow.

SOAK_SECONDS (default 120) is the duration. For an hour by hand: `SOAK_SECONDS=3600 pytest -m soak tests/proofs`.
SOAK_RATE (default 500) is the number of calls a second. SOAK_SHORTENED (default 20) is the number of seconds for which
ended reservations are kept.
"""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic
from typing import NamedTuple

import pytest

from governance.storage.sqlite.database import CHECKPOINT_PAGES
from tests.proofs.conftest import Started
from tests.proofs.serving import Caller, Service

pytestmark = [pytest.mark.process, pytest.mark.soak]

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
RATE = float(os.environ.get("SOAK_RATE", "500"))
KEPT = float(os.environ.get("SOAK_SHORTENED", "20"))
THREADS = 8
WARM_UP = 0.5
"""The share of the time after which no size may grow."""
LEAST_RATE = 0.25
"""The share of the rate that a busy machine must reach."""
ROOM = 1.25
"""The factor by which the second half may exceed the end of the first half. Windows end and files shrink in steps."""


class Sample(NamedTuple):
    """The resources of the service at one moment: bytes, and open descriptors of all its workers."""

    file: int
    journal: int
    memory: int
    descriptors: int


USUAL = Sample(0, CHECKPOINT_PAGES * 4096, 0, 0)
"""The sizes that are allowed at any time: a journal grows until its checkpoint."""


def sample(service: Service) -> Sample:
    journal = service.database.with_name("governance.db-wal")
    workers = service.workers
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in workers)
    return Sample(
        service.database.stat().st_size,
        journal.stat().st_size,
        pages * os.sysconf("SC_PAGE_SIZE"),
        sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in workers),
    )


def call(service: Service, number: int, until: float) -> int:
    """Reserve and settle, each at its share of the rate, until an instant. Return the number of answered calls."""
    chance, done, began = random.Random(number), 0, monotonic()
    pause = Event()
    with Caller(service.port) as caller:
        while (now := monotonic()) < until:
            due = began + done * THREADS / RATE
            if now < due:
                pause.wait(due - now)
            key = {"Idempotency-Key": f"{number}-{done}"}
            body = {"model": "m", "user_id": "u", "cost": chance.randrange(1, 99) / 1000, "tokens": 10}
            held = caller.post("reservations", body, key)
            assert held.status == 200, held
            ended = caller.post(f"reservations/{held.json()['reservation']['id']}/settle", {"cost": 0.001})
            assert ended.status == 200, ended
            done += 2
    return done


def test_soak_everything_is_flat_after_the_warm_up(made: Started, tmp_path: Path) -> None:
    service = made(PYTHONPATH=str(shortened(tmp_path)), GOVERNANCE_POLL_INTERVAL="1").start()
    with service.caller() as caller:
        for model in ("m", "*"):
            for scope in ({}, {"scope": "user", "scope_id": "u"}):
                caller.create(
                    model_name=model,
                    budget={"max_limit": 10**6, "reset_duration": "1m"},
                    rate_limit={"token_max_limit": 10**9, "token_reset_duration": "1m"},
                    **scope,
                )
    began, pause, samples = monotonic(), Event(), []
    with ThreadPoolExecutor(THREADS) as pool:
        calls = [pool.submit(call, service, number, began + SECONDS) for number in range(THREADS)]
        while monotonic() < began + SECONDS:
            samples.append(sample(service))
            pause.wait(SECONDS / 60)
        done = sum(each.result() for each in calls)
    split = int(len(samples) * WARM_UP)
    sys.stdout.write(f"{done} calls in {SECONDS:.0f} s: {samples[0]}, then {samples[split]}, last {samples[-1]}\n")
    assert done > LEAST_RATE * RATE * SECONDS
    first, second = highest([*samples[:split], USUAL]), highest(samples[split:])
    for name, before, after in zip(Sample._fields, first, second, strict=True):
        assert after <= before * ROOM, (name, before, after)
    (left,) = service.rows("SELECT (SELECT count(*) FROM reservations) AS r, (SELECT count(*) FROM answers) AS a")
    assert max(left.values()) < done / 2 * min(1, 3 * KEPT / SECONDS)
    service.assert_verified()


def highest(samples: list[Sample]) -> Sample:
    return Sample(*map(max, zip(*samples, strict=True)))


def shortened(folder: Path) -> Path:
    """Make a folder for PYTHONPATH that shortens the retention of a service from days to seconds."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE.format(kept=int(KEPT * 10**6)))
    return site


SITE = '''
"""Has governance.services.upkeep keep what has ended for seconds, not days, and believe the clock after a second."""
import importlib.abc
import importlib.machinery
import sys


class Shorten(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "governance.services.operations.retention":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.EVERY = 1_000_000
            module.ANSWERS_KEPT = {kept}
            begin = module.Retention.__init__

            def init(self, slices, clock, **kept):
                clock._least = 1_000_000
                begin(self, slices, clock, **(kept | {{"retention": {kept}}}))

            module.Retention.__init__ = init

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Shorten())
'''
