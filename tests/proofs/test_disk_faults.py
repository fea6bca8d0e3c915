"""Disks that fail or are slow, under a load.

Acknowledged writes stay, readiness reports the fault, and the service recovers.
"""

import random
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.process.service import until
from tests.proofs.campaign import Campaign
from tests.proofs.conftest import Started
from tests.proofs.faults import CALLS, ERRORS, Fault, Faults
from tests.proofs.serving import Caller
from tests.proofs.test_faults import WORKERS
from tests.proofs.world import THREADS, World

pytestmark = pytest.mark.process

SHARE = 0.3
ON_ONE_FILE = 10
"""The number of faults on the same files."""
FILES = ("governance.db", "governance.db-wal", "governance.db-shm", "governance.db.queue")


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[Faults]:
    made = Faults(tmp_path)
    yield made
    made.close()


def test_faults_of_the_disk_lose_nothing_and_pass(campaign: Campaign, faults: Faults, made: Started) -> None:
    drawn = every_kind_then_any(campaign.chance)
    while campaign.goes_on():
        service = made(THREADS=str(THREADS), **faults.environ).start()
        world = World(service, campaign.chance)
        for _ in range(ON_ONE_FILE):
            if campaign.goes_on():
                suffer(world, faults, next(drawn), campaign)
        world.prove_that_nothing_is_stuck()
        campaign.figures["acknowledged effects"] += world.acknowledged
        service.stop()


def every_kind_then_any(chance: random.Random) -> Iterator[Fault]:
    """Yield each kind of call with each error on all files, in random order. Then yield random faults."""
    kinds = list(product(CALLS, (*ERRORS, None)))
    first = chance.sample(kinds, len(kinds))
    for kind in first:
        yield fault(chance, *kind, every=1, path=FILES[0])
    while True:
        yield fault(chance, *chance.choice(kinds), every=chance.choice([1, 2, 7]), path=chance.choice(FILES))


def fault(chance: random.Random, calls: str, error: str | None, *, every: int, path: str) -> Fault:
    """Return a fault of this kind. Without an error, it is a delay."""
    delay = chance.choice([0.02, 0.3]) if error is None else 0.0
    return Fault(calls, error, delay, every, path)


def suffer(world: World, faults: Faults, fault: Fault, campaign: Campaign) -> None:
    """Make one fault under a load, until it is over. Sometimes kill all processes during the fault."""
    service, lasts = world.service, campaign.chance.uniform(0.3, 1.5)
    until(lambda: len(service.workers) == WORKERS)  # after a start, the second worker may not be forked yet
    workers, dies = service.workers, campaign.chance.random() < 0.2
    with world.load(), service.caller() as caller:
        until(lambda: world.ask(caller))
        faults.begin(fault)
        try:
            endure(world, caller, fault, lasts)
            if dies:
                service.kill()
        finally:
            hits = faults.end()
        if not dies:
            until(lambda: world.ask(caller), 15)
            until(lambda: caller.get("/readyz").status == 200, 15)
    if dies:
        service.start()
    else:
        assert service.workers == workers, fault
    service.assert_verified()
    world.prove()
    campaign.figures["faults"] += 1
    campaign.figures["calls of the system hit"] += hits
    campaign.figures["deaths meanwhile"] += dies


def endure(world: World, caller: Caller, fault: Fault, lasts: float) -> None:
    """Check that health and the snapshot answer during the fault. If nothing can be written, readiness must say so."""
    began = monotonic()
    while monotonic() < began + lasts:
        answers_within(2, lambda: caller.get("/healthz").status == 200)
        answers_within(2, lambda: caller.get("model-configs?from_memory=true").status == 200)
        if not world.ask(caller) and fault.is_certain:
            until(lambda: caller.get("/readyz").status == 503, 15)
        Event().wait(0.1)


def answers_within(seconds: float, is_good: Callable[[], bool]) -> None:
    began = monotonic()
    assert is_good()
    assert monotonic() - began < seconds
