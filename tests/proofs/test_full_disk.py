"""A disk that is really full: calls get 503, /readyz gives the reason, and both recover when there is room again."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest

from tests.process.service import until
from tests.proofs.conftest import Started
from tests.proofs.serving import Service
from tests.proofs.test_faults import LIMIT, assert_counted, keyed

pytestmark = pytest.mark.process
SIZE = "16m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small file system of its own, if the machine allows that."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Fill the disk completely during the block."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    try:
        yield
    finally:
        filler.unlink()


def reason(service: Service) -> str | None:
    """Return why the service is not ready, given within about a second. Return None if it is ready."""
    with service.caller() as caller:
        began = monotonic()
        reply = caller.get("/readyz")
        assert monotonic() - began < 2
        return None if reply.status == 200 else str(reply.json()["error"]["message"])


def test_while_the_disk_is_full_calls_are_503_and_so_is_readyz(started: Started, disk: Path) -> None:
    service = started(GOVERNANCE_INSTANCE=str(disk / "instance"))
    service.instance = disk / "instance"
    with service.caller() as caller:
        caller.create(**LIMIT)
        assert keyed(service, "before").status == 200
        with filled(disk):
            assert "Free some space" in (reason(service) or "")
            replies = [keyed(service, f"during-{number}") for number in range(50)]
            refused = [number for number, reply in enumerate(replies) if reply.status == 503]
            assert {reply.status for reply in replies} <= {200, 503}
            assert refused
            assert caller.get("model-configs").status == 200
            assert caller.get("/healthz").status == 200
            assert reason(service)
        until(lambda: reason(service) is None)
    assert all(keyed(service, f"during-{number}").status == 200 for number in range(50))
    assert_counted(service, 51)
    service.stop()
