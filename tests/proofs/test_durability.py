"""Acknowledged writes survive `kill -9`: rounds of load, a kill at a random instant, and a start on the same files."""

import os
import random
import signal
from collections.abc import Callable
from threading import Event

import pytest

from tests.process.service import state, until
from tests.proofs.campaign import Campaign
from tests.proofs.conftest import Started
from tests.proofs.serving import Service
from tests.proofs.world import THREADS, World

pytestmark = pytest.mark.process

SHARE = 0.3
ROUNDS = 20
"""The number of rounds on the same files."""
BREATH = 0.4
"""The longest time before a kill, in seconds."""


def test_sudden_deaths_lose_and_double_nothing_that_was_answered(campaign: Campaign, started: Started) -> None:
    while campaign.goes_on():
        service = started(THREADS=str(THREADS))
        world = World(service, campaign.chance)
        for _ in range(ROUNDS):
            if campaign.goes_on():
                die_and_come_back(world, campaign)
        world.prove_that_nothing_is_stuck()
        campaign.figures["acknowledged effects"] += world.acknowledged
        service.stop()


def die_and_come_back(world: World, campaign: Campaign) -> None:
    """Run one round."""
    died = campaign.chance.choice([everybody, everybody, one_worker, the_master])
    breath = campaign.chance.uniform(0.02, BREATH)
    with world.load():
        Event().wait(breath)
        comes_back = died(world.service, campaign.chance)
    with world.service.verified():
        comes_back()
    world.prove()
    campaign.figures["rounds of kill -9"] += 1
    campaign.figures[f"deaths of {died.__name__.replace('_', ' ')}"] += 1


def everybody(service: Service, _: random.Random) -> Callable[[], object]:
    """Kill the master and all workers at one instant."""
    service.kill()
    return service.start


def one_worker(service: Service, chance: random.Random) -> Callable[[], object]:
    """Kill a worker. The others continue to serve."""
    victim = chance.choice(until(lambda: service.workers))
    os.kill(victim, signal.SIGKILL)
    Event().wait(chance.uniform(0, BREATH))

    def is_replaced() -> bool:
        return len(set(service.workers) - {victim}) == int(service.environ["WEB_CONCURRENCY"])

    return lambda: until(lambda: is_replaced() and service.is_ready())


def the_master(service: Service, chance: random.Random) -> Callable[[], object]:
    """Kill the master. Its workers notice it and end by themselves."""
    orphans = until(lambda: service.workers)
    service.process.kill()
    service.process.wait()
    Event().wait(chance.uniform(0, BREATH))

    def come_back() -> None:
        until(lambda: {state(orphan) for orphan in orphans} == {"Z"})
        service.start()

    return come_back


def test_a_first_start_that_is_killed_at_any_instant_can_be_repeated(made: Started) -> None:
    service = made()
    for _ in range(5):
        service.launch()
        Event().wait(random.uniform(0.1, 1.5))
        service.kill()
    service.start()
    with service.caller() as caller:
        caller.create(model_name="gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
        assert caller.post("reservations", {"model": "gpt-4o", "cost": 0.4}).status == 200
        assert caller.post("reservations", {"model": "gpt-4o", "cost": 0.7}).status == 402
    service.assert_verified()
