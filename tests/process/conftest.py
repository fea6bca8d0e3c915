"""Services for the tests of this folder. At the end of its test, each is killed with all its processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.service import Service

POLL = "0.2"
NEVER = "86400"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Yield a function that makes services in folders of their own. The services are not started."""
    made: list[Service] = []

    def make(folder: Path | None = None, **environ: str) -> Service:
        own = folder or tmp_path / f"service{len(made)}"
        own.mkdir(exist_ok=True)
        made.append(Service(own, **{"GOVERNANCE_POLL_INTERVAL": POLL, **environ}))
        return made[-1]

    yield make
    for each in made:
        each.end()


def shared(folder: Path, poll_interval: str) -> Iterator[Service]:
    made = Service(folder, WEB_CONCURRENCY="2", GOVERNANCE_POLL_INTERVAL=poll_interval)
    try:
        yield made.start()
    finally:
        made.end()


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service with two workers that poll often."""
    yield from shared(tmp_path_factory.mktemp("pair"), POLL)


@pytest.fixture(scope="package")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service with two workers that never poll after their start. They share only the database."""
    yield from shared(tmp_path_factory.mktemp("strangers"), NEVER)
