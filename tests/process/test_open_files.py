"""The limit of open files (`ulimit -n`): the start raises it, and no number of peers ends a worker."""

import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.process.service import Service, until

pytestmark = pytest.mark.process

IDLE = 1100


def limited(made: Service, how: str) -> Service:
    """Return the service. A shell with another limit starts it."""
    made.prefix = ("sh", "-c", f'ulimit {how} && exec "$@"', "sh")
    return made


def soft_limit(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]


def outlives_idle_connections(made: Service) -> None:
    workers = made.workers
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection(("127.0.0.1", made.port), timeout=10))
        assert made.call("GET", "/healthz").status == 200
    until(lambda: made.call("GET", "/readyz").status == 200)
    assert made.workers == workers


def test_the_start_raises_its_limit_as_far_as_it_needs(service: Callable[..., Service]) -> None:
    made = limited(service(), "-S -n 256").start()
    assert 1000 < soft_limit(made.workers[0]) < 1200
    assert "fewer connections" not in made.stderr.read_text()
    outlives_idle_connections(made)


def test_a_limit_that_cannot_be_raised_lowers_the_connections_and_is_told(service: Callable[..., Service]) -> None:
    made = limited(service(), "-n 200").start()
    assert "each worker takes fewer connections: only 200 files may be open" in made.stderr.read_text()
    outlives_idle_connections(made)
