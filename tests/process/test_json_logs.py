"""With GOVERNANCE_LOG_FORMAT=json every line of the log is JSON, including gunicorn's own lines."""

import json
import os
import signal

import pytest

from tests.process.service import until

pytestmark = pytest.mark.process


def test_gunicorn_tells_of_a_killed_worker_in_json(service):
    made = service(GOVERNANCE_LOG_FORMAT="json").start()
    (worker,) = made.workers
    os.kill(worker, signal.SIGKILL)
    until(lambda: "SIGKILL" in made.stderr.read_text())
    (line,) = [line for line in made.stderr.read_text().splitlines() if "SIGKILL" in line]
    told = json.loads(line)
    assert (told["logger"], str(worker) in told["message"]) == ("gunicorn.error", True)
    assert told["level"] in ("WARNING", "ERROR")
    assert "SIGKILL" not in made.stdout.read_text()


def test_all_that_a_start_writes_is_json(service):
    made = service(GOVERNANCE_LOG_FORMAT="json", HOST="0.0.0.0").start()  # noqa: S104 - the test needs the warning
    told = [json.loads(line) for line in made.stderr.read_text().splitlines()]
    (greeting,) = [line for line in told if "curl -H" in line["message"]]
    assert (greeting["level"], greeting["logger"]) == ("INFO", "governance.startup")
    (warning,) = [line for line in told if line["level"] == "WARNING"]
    assert warning["message"].startswith("0.0.0.0 can be reached from other machines")
    assert made.key not in made.stderr.read_text()
