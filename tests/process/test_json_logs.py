"""With GOVERNANCE_LOG_FORMAT=json every line of the log is JSON, gunicorn's own too."""

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
