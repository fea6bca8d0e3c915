"""Small disks that are full: only metrics may be lost. The tests need root, which mounts the disks."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.service import Service, until

pytestmark = pytest.mark.process


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty disk of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Fill the disk completely."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


def total(service: Service, name: str) -> float:
    """Return a metric, summed over its labels."""
    text = service.text("/metrics")
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def reserve(service: Service) -> int:
    return service.call("POST", "/api/governance/reservations", {"model": "m"}).status


def test_a_full_temporary_folder_costs_nothing(service: Callable[..., Service], disk: Path) -> None:
    fill(disk)
    made = service(TMPDIR=str(disk), WEB_CONCURRENCY="2").start()
    workers = made.workers
    assert [reserve(made) for _ in range(20)] == [200] * 20
    until(lambda: total(made, "governance_decisions_total") == 20)
    assert made.workers == workers


def test_a_full_folder_of_metrics_costs_metrics_alone(service: Callable[..., Service], disk: Path) -> None:
    made = service(WEB_CONCURRENCY="2")
    made.instance.mkdir()
    metrics = made.instance / "metrics"
    metrics.symlink_to(disk)
    made.start()
    workers = made.workers
    ballast = fill(disk)
    assert [reserve(made) for _ in range(40)] == [200] * 40
    assert total(made, "governance_decisions_total") > 0
    assert made.workers == workers
    os.kill(workers[0], 9)
    until(lambda: len(made.workers) == 2 and workers[0] not in made.workers)
    assert [reserve(made) for _ in range(20)] == [200] * 20
    ballast.unlink()
    assert reserve(made) == 200


def test_what_a_worker_counted_that_was_killed_stays_counted(service: Callable[..., Service]) -> None:
    made = service(WEB_CONCURRENCY="2").start()
    for _ in range(30):
        reserve(made)
    until(lambda: total(made, "governance_decisions_total") == 30)
    for worker in made.workers:
        os.kill(worker, 9)
    until(lambda: not set(made.workers) & {worker} and len(made.workers) == 2)
    until(lambda: total(made, "governance_decisions_total") == 30)
    folders = list((made.instance / "metrics").iterdir())
    assert len(folders) == 1
    until(lambda: len(list(folders[0].glob("*.json"))) == 2)


def test_folders_of_services_that_were_killed_are_removed_at_the_next_start(service: Callable[..., Service]) -> None:
    first = service().start()
    first.end()
    again = service(first.folder).start()
    assert [folder.name for folder in (again.instance / "metrics").iterdir()] == [str(again.pid)]
