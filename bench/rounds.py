"""Measures several cases in rounds. A case consists of a server and the requests to send.

Each round takes one sample (a measurement of some seconds) of each case. The result is the median of all rounds.
"""

import sys
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from bench.load import Generator, Plan, Sample
from bench.servers import Server

CONNECTIONS = 8
CALM = 0.05
"""The share of the server's core that other processes may use. If they use more, a second sample is taken."""


class Pace(NamedTuple):
    """The number of rounds, and the seconds of warm-up and of each sample."""

    rounds: int
    warm_up: float
    seconds: float


class Case(NamedTuple):
    """A server, and the requests to send.

    `requests` are complete HTTP messages that are sent in turn. Each response must have one of `statuses`.
    """

    name: str
    server: Server
    requests: Sequence[bytes]
    statuses: frozenset[int] = frozenset({200})
    connections: int = CONNECTIONS
    settles: bool = False
    keyed: bool = False


class Spread(NamedTuple):
    """The median, the minimum and the maximum of some values."""

    middle: float
    least: float
    most: float


class Measured(NamedTuple):
    """The samples of one case, one for each round."""

    samples: tuple[Sample, ...]

    def spread(self, figure: Callable[[Sample], float]) -> Spread:
        """Return the median, the minimum and the maximum of a figure over the rounds."""
        values = [figure(sample) for sample in self.samples]
        return Spread(median(values), min(values), max(values))

    @property
    def rate(self) -> Spread:
        """Responses per second."""
        return self.spread(by_rate)

    @property
    def cost(self) -> Spread:
        """Processor time per request, in microseconds."""
        return self.spread(by_cost)

    def beside(self, other: "Measured", figure: Callable[[Sample], float]) -> float:
        """Return the median, over the rounds, of the ratio of this case's figure to the other case's figure.

        The machine's speed changes from round to round, but within a round it is the same for both cases.
        """
        return median(figure(mine) / figure(theirs) for mine, theirs in zip(self.samples, other.samples, strict=True))

    def percentile(self, share: float) -> float:
        """Return the median, over the rounds, of a percentile of the latencies, in seconds."""
        return self.spread(lambda sample: sample.percentile(share)).middle

    @property
    def worst(self) -> float:
        """The longest latency of all rounds, in seconds."""
        return max(sample.latencies[-1] for sample in self.samples)

    @property
    def disturbance(self) -> float:
        """The largest share of the server's core that other processes used during a sample."""
        return max(sample.disturbance for sample in self.samples)


class Bench(NamedTuple):
    """How to measure: the load generator, the pace, and the servers' core.

    `calm` is the share of this core that other processes may use during a sample.
    """

    load: Generator
    pace: Pace
    core: int
    calm: float = CALM


def by_rate(sample: Sample) -> float:
    """Return the responses per second."""
    return sample.rate


def by_cost(sample: Sample) -> float:
    """Return the processor time per request, in microseconds."""
    return sample.cost


def by_cpu_rate(sample: Sample) -> float:
    """Return the responses for each second of the worker's processor time.

    Other work on the core affects this figure less than the rate.
    """
    return 1_000_000 / sample.cost


def measure(what: str, cases: Sequence[Case], bench: Bench) -> dict[str, Measured]:
    """Measure every case in every round.

    The order of the cases differs from round to round. `what` is printed as progress.
    """
    samples: dict[str, list[Sample]] = {case.name: [] for case in cases}
    for number in range(bench.pace.rounds):
        tell(f"{what}: round {number + 1} of {bench.pace.rounds}")
        for case in (*cases[number % len(cases) :], *cases[: number % len(cases)]):
            samples[case.name].append(sample(case, bench))
    measured = {name: Measured(tuple(found)) for name, found in samples.items()}
    for name, found in measured.items():
        tell(f"    {name}: {found.rate.middle:,.0f} requests/s, p99 {found.percentile(0.99) * 1000:.1f} ms")
    return measured


def tell(progress: str) -> None:
    """Print progress."""
    print(progress, file=sys.stderr, flush=True)


def sample(case: Case, bench: Bench) -> Sample:
    """Measure a case once, and return the sample.

    If other processes used too much of the core, take a second sample. Then return the less disturbed of the two.
    """
    first = _sample(case, bench)
    return first if first.disturbance <= bench.calm else min(first, _sample(case, bench), key=lambda it: it.disturbance)


def _sample(case: Case, bench: Bench) -> Sample:
    server, pace = case.server, bench.pace
    found = bench.load.run(
        Plan(
            port=server.port,
            requests=case.requests,
            connections=case.connections,
            warm_up=pace.warm_up,
            seconds=pace.seconds,
            pids=server.workers,
            server_core=bench.core,
            settles=case.settles,
            keyed=case.keyed,
        )
    )
    others = set(found.statuses) - case.statuses
    if others:
        raise ValueError(f"{case.name} was answered with {sorted(others)}")
    return found
