"""Measuring several cases fairly: in rounds, each case once a round, and the median of the rounds."""

import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

from bench.load import Generator, Plan, Sample
from bench.servers import Server

CONNECTIONS = 8
CALM = 0.05
"""Which share of the server's core others may use before a sample is taken anew."""
ATTEMPTS = 4


class Pace(NamedTuple):
    """How long to measure: rounds, and seconds of warm-up and of each sample."""

    rounds: int
    warm_up: float
    seconds: float


class Case(NamedTuple):
    """What is measured: whole requests, sent in turn to a server that answers each with one of `statuses`."""

    name: str
    server: Server
    requests: Sequence[bytes]
    statuses: frozenset[int] = frozenset({200})
    connections: int = CONNECTIONS
    settles: bool = False


class Spread(NamedTuple):
    """The median of some values, the least and the most."""

    middle: float
    least: float
    most: float


class Measured(NamedTuple):
    """The samples of one case, a round each."""

    samples: tuple[Sample, ...]

    def spread(self, figure: Callable[[Sample], float]) -> Spread:
        """A figure of the samples over the rounds."""
        values = [figure(sample) for sample in self.samples]
        return Spread(median(values), min(values), max(values))

    @property
    def rate(self) -> Spread:
        """Requests a second."""
        return self.spread(lambda sample: sample.rate)

    @property
    def cost(self) -> Spread:
        """Microseconds of processor time a request."""
        return self.spread(lambda sample: sample.cost)

    @property
    def disturbance(self) -> float:
        """The largest share of the server's core that others used in a sample."""
        return max(sample.disturbance for sample in self.samples)


def measure(cases: Sequence[Case], load: Generator, pace: Pace, core: int, calm: float = CALM) -> dict[str, Measured]:
    """Every case in every round, each round in another order; what others disturbed (over `calm`) is measured anew."""
    samples: dict[str, list[Sample]] = {case.name: [] for case in cases}
    for number in range(pace.rounds):
        for case in (*cases[number % len(cases) :], *cases[: number % len(cases)]):
            samples[case.name].append(_calmest(case, load, pace, core, calm))
            _tell(f"round {number + 1} of {pace.rounds}: {case.name}")
    _tell("")
    return {name: Measured(tuple(found)) for name, found in samples.items()}


def _calmest(case: Case, load: Generator, pace: Pace, core: int, calm: float) -> Sample:
    found: list[Sample] = []
    for sample in _samples(case, load, pace, core):
        found.append(sample)
        if sample.disturbance <= calm:
            break
    return min(found, key=lambda sample: sample.disturbance)


def _samples(case: Case, load: Generator, pace: Pace, core: int) -> Iterator[Sample]:
    plan = Plan(
        case.server.port,
        case.requests,
        case.connections,
        pace.warm_up,
        pace.seconds,
        case.server.workers,
        core,
        case.settles,
    )
    for _ in range(ATTEMPTS):
        sample = load.run(plan)
        others = set(sample.statuses) - case.statuses
        if others:
            raise ValueError(f"{case.name} was answered with {sorted(others)}")
        yield sample


def _tell(progress: str) -> None:
    """Show on a terminal, in one line, how far we are."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{progress}")
        sys.stderr.flush()
