"""Litestream beside the service: after the loss of the volume, nothing older than the stated bound is missing."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

import pytest
import yaml

from tests.process.service import DEADLINE, ROOT, Service, until

pytestmark = pytest.mark.deploy

LITESTREAM = Path(sys.executable).parent / "litestream"
PAGE = ROOT / "docs" / "deploy" / "litestream.md"
CONFIG = ROOT / "deploy" / "litestream.yml"
CALLERS, CALLS = 4, 2000
JOURNAL = 16 * 2**20


class Confirmed(NamedTuple):
    """What the service has confirmed: the reservation, the act, and when its answer came."""

    id: str
    act: str
    at: float


class Load:
    """Callers that reserve, and settle every second reservation, until the service is gone."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.confirmed: list[Confirmed] = []
        self.stopping = Event()
        self.threads = [Thread(target=self._call) for _ in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def _call(self) -> None:
        with suppress(OSError, HTTPException):
            while not self.stopping.is_set():
                self._reserve_and_settle()

    def _reserve_and_settle(self) -> None:
        reserved = [self._send("reservations", "reserve", {"model": "gpt-4o", "cost": 0.02}) for _ in range(2)]
        self._send(f"reservations/{reserved[0]}/settle", "settle", {"cost": 0.01})

    def _send(self, path: str, act: str, body: dict[str, object]) -> str:
        answer = self.service.call("POST", f"/api/governance/{path}", body)
        assert answer.status == 200, answer
        found = str(answer.body["reservation"]["id"])
        self.confirmed.append(Confirmed(found, act, monotonic()))
        return found

    def end(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(DEADLINE)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.end()


@pytest.fixture
def config(service: Service, tmp_path: Path) -> Path:
    """The file of deploy/ with another disk as the place of the copy."""
    document = yaml.safe_load(CONFIG.read_text())
    (database,) = document["dbs"]
    interval = database["replica"]["sync-interval"]
    database["replica"] = {"type": "file", "path": str(tmp_path / "copy"), "sync-interval": interval}
    file = tmp_path / "litestream.yml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def replicate(service: Service, config: Path, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start Litestream, and wait for its first copy."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "litestream.log").open("ab") as log:
            started.append(
                subprocess.Popen([LITESTREAM, "replicate", "-config", config], env=environ(service), stderr=log)
            )
        until(lambda: list((tmp_path / "copy").rglob("*.ltx")))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def environ(service: Service) -> dict[str, str]:
    return os.environ | {"GOVERNANCE_INSTANCE": str(service.instance)}


def restore(service: Service, config: Path) -> None:
    """The steps of the page."""
    shutil.rmtree(service.instance)
    service.instance.mkdir(mode=0o700)
    subprocess.run(
        [LITESTREAM, "restore", "-config", config, service.database],
        env=environ(service),
        check=True,
        capture_output=True,
    )


def stored(service: Service) -> dict[str, tuple[str, int]]:
    """The status and the used nano-dollars of each stored reservation."""
    with closing(sqlite3.connect(service.database)) as connection:
        rows = connection.execute("SELECT id, status, used_cost FROM reservations")
        return {row[0]: (row[1], row[2]) for row in rows}


def bound() -> float:
    """The seconds that the page states."""
    (found,) = re.findall(r"at most \*\*(\d+) seconds\*\*", PAGE.read_text())
    return float(found)


def test_a_lost_volume_loses_nothing_older_than_the_bound(service, config, replicate):
    service.start()
    service.create("gpt-4o", budget={"max_limit": 1_000_000, "reset_duration": "1d"})
    key = service.key
    litestream = replicate()
    load = Load(service)
    until(lambda: len(load.confirmed) >= CALLS, 120)
    service.end()
    litestream.kill()
    lost_at = monotonic()
    load.end()
    restore(service, config)

    found = stored(service)
    missing = [each for each in load.confirmed if not is_there(found, each)]
    oldest = max((lost_at - each.at for each in missing), default=0.0)
    told = f"{len(load.confirmed):,} confirmed, {len(missing):,} missing, the oldest {oldest:.2f} s before the loss"
    print(told)  # noqa: T201 - docs/deploy/litestream.md names the figures
    assert oldest < bound()

    verified = service.governance("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    service.start()
    answer = service.call("GET", "/api/governance/model-configs", key=key)
    (limit,) = answer.body["model_configs"]
    used = sum(cost for status, cost in found.values() if status == "settled")
    assert limit["budget"]["current_usage"] == pytest.approx(used / 10**9)
    assert service.call("POST", "/api/governance/reservations", {"model": "gpt-4o"}, key=key).status == 200


def is_there(found: dict[str, tuple[str, int]], each: Confirmed) -> bool:
    status, _ = found.get(each.id, (None, 0))
    return status == "settled" if each.act == "settle" else status is not None


def test_the_journal_stays_small_beside_litestream(service, replicate):
    """Where a reader blocked every checkpoint, so many acts made it 122 MiB large."""
    service.start()
    replicate()
    load = Load(service)
    until(lambda: len(load.confirmed) >= 8 * CALLS, 240)
    load.end()
    assert service.database.with_name("governance.db-wal").stat().st_size < JOURNAL
    assert service.call("GET", "/readyz", key="").body.get("warnings", []) == []


@pytest.mark.parametrize("command", ["compact", "restore"])
def test_the_copy_goes_on_after_a_command_replaced_the_file(service, config, replicate, tmp_path, command):
    service.start()
    service.create("gpt-4o", budget={"max_limit": 10, "reset_duration": "1d"})
    backup = str(tmp_path / "backup.db")
    assert service.governance("backup", backup).returncode == 0
    first = replicate()
    until(lambda: copied(service, config, tmp_path) == {"gpt-4o"})
    for process in (service.process, first):
        process.terminate()
        process.wait(DEADLINE)
    done = service.governance(command, *([backup] if command == "restore" else []))
    assert done.returncode == 0, done.stderr
    service.start()
    replicate()
    service.create("o3", budget={"max_limit": 10, "reset_duration": "1d"})
    until(lambda: copied(service, config, tmp_path) == {"gpt-4o", "o3"})


def test_the_copy_goes_on_after_a_restore(service, config, replicate, tmp_path):
    service.start()
    service.create("gpt-4o", budget={"max_limit": 10, "reset_duration": "1d"})
    first = replicate()
    key = service.key
    until(lambda: copied(service, config, tmp_path) == {"gpt-4o"})
    service.end()
    first.kill()
    first.wait()
    restore(service, config)
    service.kept_key = key
    service.start()
    replicate()
    service.create("o3", budget={"max_limit": 10, "reset_duration": "1d"})
    until(lambda: copied(service, config, tmp_path) == {"gpt-4o", "o3"})


def copied(service: Service, config: Path, folder: Path) -> set[str]:
    """The models of the limits in the copy."""
    file = folder / "trial.db"
    for each in folder.glob("trial.db*"):
        each.unlink()
    done = subprocess.run(
        [LITESTREAM, "restore", "-config", config, "-o", file, service.database],
        env=environ(service),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return set()
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT model_name FROM model_limits")}
