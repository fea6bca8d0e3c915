"""`examples/quickstart.sh` as a new user runs it: once, a second time, and with a wrong key."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ADMIN_KEY

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.sh"
EXISTS = "It exists already, and stays as it is."

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@pytest.fixture
def quickstart(serve, app):
    """Return a function that runs the script against the service."""
    url = serve(app)

    def run(key=ADMIN_KEY, url=url):
        environ = os.environ | {"GOVERNANCE_URL": url, "GOVERNANCE_KEY": key}
        return subprocess.run(["bash", QUICKSTART], env=environ, capture_output=True, text=True, check=False)

    return run


def test_quickstart_runs_twice_and_makes_its_limits_once(quickstart, api):
    first, second = quickstart(), quickstart()
    assert (first.returncode, first.stderr) == (second.returncode, second.stderr) == (0, "")
    assert EXISTS not in first.stdout
    assert second.stdout.count(EXISTS) == 6
    assert first.stdout.splitlines()[-1] == second.stdout.splitlines()[-1]
    assert api.list()["total_count"] == 4


def test_quickstart_makes_what_is_missing(quickstart, api):
    api.post("users", {"id": "u-17", "name": "Intern"})
    assert quickstart().stdout.count(EXISTS) == 1
    assert api.list()["total_count"] == 4


def test_quickstart_stops_at_a_refusal(quickstart):
    refused = quickstart(key="gov-wrong")
    assert refused.returncode != 0
    assert refused.stderr.startswith("POST model-configs: 401 ")
    assert refused.stdout.count("\n") == 1


def test_quickstart_stops_where_no_service_answers(quickstart):
    refused = quickstart(url="http://127.0.0.1:9")
    assert refused.returncode != 0
    assert "curl: (7)" in refused.stderr
