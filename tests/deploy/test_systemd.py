"""deploy/model-limits.service: checked by systemd's own tools, and its system call filter applied to a real service."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from governance.settings import Settings
from tests.deploy.filtered import allowed, values
from tests.process.service import ROOT, Service, until

pytestmark = pytest.mark.deploy

UNIT = ROOT / "deploy/model-limits.service"
GUNICORN = ROOT / "governance/gunicorn_config.py"
MOST_EXPOSURE = 2.0
KEY = "0123456789abcdef0123456789abcdeg"
FILTERED = (sys.executable, "-m", "tests.deploy.filtered", str(UNIT))
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def said(*command: str | Path) -> str:
    """Return what a program writes, to either stream."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_unit_has_no_fault_for_systemd(command: Path, tmp_path: Path):
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/model-limits/bin/model-limits", str(command)))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_exposure_is_low():
    shown = said("systemd-analyze", "security", "--offline=true", "--no-pager", UNIT)
    (found,) = re.findall(r"Overall exposure level for model-limits.service: ([\d.]+)", shown)
    assert float(found) <= MOST_EXPOSURE


def test_service_has_longer_to_stop_than_gunicorn_gives_its_calls():
    (graceful,) = re.findall(r"^graceful_timeout = (\d+)$", GUNICORN.read_text(), re.MULTILINE)
    assert int(values(UNIT, "TimeoutStopSec")[0]) > int(graceful)


def test_unit_sets_only_settings_that_exist():
    assigned = dict(pair.split("=", 1) for pair in values(UNIT, "Environment"))
    assert Settings.misspelt(assigned) == []
    assert assigned["GOVERNANCE_ADMIN_KEY_FILE"] == "%d/" + values(UNIT, "LoadCredential")[0].partition(":")[0]
    assert assigned["GOVERNANCE_INSTANCE"] == "%S/" + values(UNIT, "StateDirectory")[0]


def test_filter_allows_pinning_and_refuses_the_rest_of_its_group():
    assert "sched_setaffinity" in allowed(UNIT)
    assert {"sched_setscheduler", "setpriority", "chown", "mount", "ptrace"} & allowed(UNIT) == set()


@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        ("os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})", ""),
        ("os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))", "PermissionError"),
        ("os.chown('.', 0, 0)", "PermissionError"),
        ("os.chroot('.')", "PermissionError"),
    ],
)
def test_filter_is_in_force(call: str, outcome: str):
    assert outcome in said(*FILTERED, sys.executable, "-c", f"import os; {call}")
    assert ("Error" in said(*FILTERED, sys.executable, "-c", f"import os; {call}")) == bool(outcome)


@pytest.fixture
def confined(installed, tmp_path: Path) -> Service:
    """Return a service with the settings of the unit, under its filter and without capabilities, not started."""
    (tmp_path / "admin-key").write_text(f"{KEY}\n")
    made: Service = installed(
        GOVERNANCE_ADMIN_KEY_FILE=str(tmp_path / "admin-key"),
        GOVERNANCE_PIN_WORKERS="1",
        WEB_CONCURRENCY="2",
        NOTIFY_SOCKET=str(tmp_path / "notify"),
        PYTHONPATH=str(ROOT),  # for the module that applies the filter
    )
    made.prefix = (*WITHOUT_CAPABILITIES, *FILTERED)
    made.kept_key = KEY
    return made


def test_service_runs_under_the_filter(confined: Service, tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        confined.start()
        notified.settimeout(10)
        assert notified.recv(1000).startswith(b"READY=1\n")
    assert not (confined.instance / "admin.key").exists()

    cores = (sorted(os.sched_getaffinity(0)) * 2)[:2]
    assert sorted(min(os.sched_getaffinity(pid)) for pid in confined.workers) == sorted(cores)
    assert {len(os.sched_getaffinity(pid)) for pid in confined.workers} == {1}
    status = Path(f"/proc/{confined.pid}/status").read_text()
    assert "Seccomp:\t2\n" in status
    assert "CapEff:\t0000000000000000\n" in status

    confined.create("gpt-4o", rate_limit={"request_max_limit": 1, "request_reset_duration": "1h"})
    reservation = {"model": "gpt-4o"}
    answers = [confined.call("POST", "/api/governance/reservations", reservation) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]

    before = confined.workers
    os.kill(confined.pid, signal.SIGHUP)
    until(lambda: len(confined.workers) == 2 and not set(before) & set(confined.workers))
    until(confined.is_ready)
    os.kill(confined.pid, signal.SIGTERM)
    assert confined.process.wait(30) == 0
    assert "Traceback" not in confined.stderr.read_text()
