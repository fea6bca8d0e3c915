"""A backup of a running service: made under load, killed half-way, and restored as docs/ describe."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from tests.process.service import OURS, ROOT, Service, until

pytestmark = pytest.mark.process

FLASK = Path(sys.executable).with_name("flask")


def launched(service: Service, *words: str) -> subprocess.Popen[str]:
    """Start a command in the environment of the service."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | service.environ
    return subprocess.Popen([FLASK, "governance", *words], cwd=ROOT, env=environ, text=True, stdout=-1, stderr=-1)


def done(service: Service, *words: str) -> str:
    """Return the output of a command. It must succeed."""
    process = launched(service, *words)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, ""), stderr
    return stdout


def how_to_restore() -> str:
    """Return the commands of docs/operations.md, without the start, because the test starts the service itself."""
    section = (ROOT / "docs/operations.md").read_text().split("\n## Restore\n")[1].split("\n## ")[0]
    commands = section.split("```sh\n")[1].split("```")[0]
    assert commands.endswith("make run\n")
    return commands.removesuffix("make run\n")


def test_a_backup_taken_under_load_is_restored_as_the_docs_say_and_every_counter_equals_its_ledger(service):
    made = service(WEB_CONCURRENCY="2", GOVERNANCE_POLL_INTERVAL="5").start()
    kept = made.create("gpt-4o", budget={"max_limit": 1_000_000, "reset_duration": "1d"})
    over, spent = Event(), [0] * 4

    def spend(number: int) -> None:
        while not over.is_set():
            answer = made.call("POST", "/api/governance/reservations", {"model": "gpt-4o", "cost": 0.25, "tokens": 10})
            held = answer.body["reservation"]["id"]
            made.call("POST", f"/api/governance/reservations/{held}/settle", {"cost": 0.5})
            spent[number] += 1

    with ThreadPoolExecutor(len(spent)) as threads:
        spending = [threads.submit(spend, number) for number in range(len(spent))]
        try:
            until(lambda: min(spent) > 2)
            before = sum(spent)
            assert "checked" in done(made, "backup", str(made.folder / "backup.db"))
        finally:
            over.set()
        for each in spending:
            each.result()
    assert made.call("DELETE", f"/api/governance/model-configs/{kept}").status == 200
    os.kill(made.pid, signal.SIGTERM)
    assert made.process.wait(20) == 0

    commands = how_to_restore().replace("backup.db", str(made.folder / "backup.db"))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | made.environ
    subprocess.run(["bash", "-e", "-c", commands], cwd=ROOT, env=environ, check=True)
    counters, history = done(made, "verify").splitlines()
    assert counters == "Counters: 1. Each equals its ledger."
    assert history.endswith("Each equals the calls that it sums.")
    made.start()
    (budget,) = made.call("GET", f"/api/governance/model-configs/{kept}").body["model_config"]["budgets"]
    used, reserved = budget["current_usage"] / 0.5, budget["reserved"] / 0.25
    assert before <= used <= sum(spent)
    assert 0 <= reserved <= len(spent)
    assert "to do" not in done(made, "doctor")


def test_a_backup_that_is_killed_leaves_no_file_and_does_not_hinder_the_next(service):
    made = service().start()
    with closing(sqlite3.connect(made.database)) as connection, connection:
        rows = [(f"{number}", "x" * 4000, 1, 1, "x", 1) for number in range(20_000)]
        columns = "id, name, created_at, updated_at, search_name, revision"
        connection.executemany(f"INSERT INTO users ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
    file = made.folder / "backup.db"
    process = launched(made, "backup", str(file))
    until(lambda: [part for part in made.folder.glob("backup.db.*.part") if part.stat().st_size > 1_000_000])
    process.kill()
    process.communicate()
    assert not file.exists()
    assert "checked" in done(made, "backup", str(file))
    assert file.stat().st_size > 80_000_000
