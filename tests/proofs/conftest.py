"""Services for the proofs: real gunicorns that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs.campaign import Campaign
from tests.proofs.serving import Service

CAMPAIGNS: list[Campaign] = []
FOLDER = Path(__file__).parent
Started = Callable[..., Service]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder as a proof."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.proof)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of each campaign."""
    for campaign in CAMPAIGNS:
        terminalreporter.write_line(campaign.told())


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    """Yield a campaign that lasts for the `SHARE` of the time that its file sets.

    At the end, its seed and figures are shown.
    """
    CAMPAIGNS.append(Campaign(request.node.name, request.module.SHARE))
    yield CAMPAIGNS[-1]
    CAMPAIGNS[-1].end()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Started]:
    """Yield a function that makes a gunicorn of two workers on new files, not yet started.

    Further settings are environment variables.
    """
    services: list[Service] = []

    def make(**environ: str) -> Service:
        folder = tmp_path / f"service-{len(services)}"
        folder.mkdir()
        services.append(Service(folder, **environ))
        return services[-1]

    yield make
    for service in services:
        service.stop()


@pytest.fixture
def started(made: Started) -> Started:
    """Yield a function that makes the same gunicorn, started and ready."""

    def start(**environ: str) -> Service:
        service = made(**environ)
        service.start()
        return service

    return start
