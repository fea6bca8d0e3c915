"""The image is built as `make image` builds it, and started as an operator should start it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time_ns

import pytest

from bench.data import fill
from governance import __version__
from tests.deploy.containers import BASE, HARDENED, IMAGE, VOLUME, Container, image, podman, run, size
from tests.process.service import ROOT, SlowPost, until
from tests.storage.sqlite.files.test_migrations import REVISIONS, of_revision, revision_of
from tests.test_requirements import read

pytestmark = pytest.mark.deploy

BIN = Path(sys.executable).parent
USER = "10001"
GRACE = 30.0
"""The seconds that gunicorn gives its workers to finish."""
MODEL = "gpt-4o-mini"
TWO_REQUESTS = {"rate_limit": {"request_max_limit": 2, "request_reset_duration": "1d"}}
OURS = {"app.py", "wsgi.py", "gunicorn.conf.py", "LICENSE", "bin", "governance", "schemas", "migrations"}
MOST_MEGABYTES = 100


@pytest.fixture(scope="module")
def service() -> Iterator[Container]:
    """A service that only reads and small writes go to. No test stops it."""
    container = Container("limits-under-test", "limits-under-test")
    yield container.start()
    container.end()


@pytest.fixture
def own() -> Iterator[Container]:
    """A container of one test's own, on a volume of its own. It is not started."""
    container = Container("limits-of-one-test", "limits-of-one-test")
    yield container
    container.end()


@pytest.fixture
def state(own, tmp_path) -> Path:
    """A folder as the volume of a test's own container. `give` hands it over once it is filled."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    own.volume = str(folder)
    return folder


def give(folder: Path) -> None:
    run("chown", "-R", f"{USER}:{USER}", str(folder))


def in_image(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run("podman", "run", "--rm", "--network=none", image(), *command, check=check)


def test_hadolint_finds_no_fault():
    run(str(BIN / "hadolint"), str(ROOT / "deploy/Containerfile"))


def test_image_holds_the_service_and_nothing_else():
    files = set(in_image("sh", "-c", "ls -A /opt/model-limits").stdout.split())
    assert files == OURS | {".venv", "requirements.lock", "healthcheck.py", "__pycache__"}


def test_image_has_the_packages_of_the_lock_alone():
    names = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found = json.loads(in_image("python", "-I", "-c", names).stdout)
    installed = {name.lower().replace("_", "-").replace(".", "-"): version for name, version in found.items()}
    locked = read("requirements.lock")
    assert installed.items() <= locked.items()
    assert {name for name in locked if name not in installed} <= {"httpx2-jsfetch"}  # of browsers only


def test_image_is_small_beside_its_base(capsys):
    ours, whole = (size(image()) - size(BASE)) / 1e6, size(IMAGE) / 1e6
    with capsys.disabled():
        sys.stdout.write(f"\nThe image has {whole:.0f} MB; {ours:.0f} MB of them are not of its base.\n")
    assert ours < MOST_MEGABYTES


def test_image_says_how_it_is_run():
    config = json.loads(podman("image", "inspect", image()))[0]
    told = config["Config"]
    assert (told["User"], told["StopSignal"], list(told["Volumes"])) == (f"{USER}:{USER}", "SIGTERM", [VOLUME])
    assert told["Labels"]["org.opencontainers.image.version"] == __version__
    assert told["Cmd"] == ["gunicorn", "wsgi:app"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python3", "healthcheck.py", "/healthz"]


def test_service_runs_without_rights(service):
    assert service.sh("id -u") == USER
    rights = service.sh("grep -E 'CapEff|NoNewPrivs' /proc/1/status").split()
    assert rights == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1"]


def test_service_writes_to_its_volume_and_to_memory_alone(service):
    places = "/ /tmp /var/tmp /opt/model-limits /home /dev /dev/shm " + VOLUME
    writable = service.sh(f"for place in {places}; do touch $place/x 2>/dev/null && rm $place/x && echo $place; done")
    assert writable.split() == ["/dev/shm", VOLUME]  # noqa: S108 - the container's
    assert service.sh(f"stat -c %a:%u {VOLUME}") == f"700:{USER}"


def test_health_checks_pass_while_it_runs(service):
    run("podman", "healthcheck", "run", service.name)
    assert service.sh("python3 healthcheck.py /readyz") == ""


def test_health_check_fails_without_a_service():
    told = in_image("python3", "healthcheck.py", check=False)
    assert told.returncode == 1
    assert "Connection refused" in told.stderr


def test_health_check_tells_another_status(service):
    told = service.sh("python3 healthcheck.py /api/governance/limits", check=False)
    assert told.startswith("401 ")


@pytest.mark.parametrize("host", ["::", "127.0.0.1", "localhost"])
def test_health_check_finds_the_address_of_the_settings(own, host):
    podman("run", "--detach", f"--name={own.name}", *HARDENED, f"--env=HOST={host}", "--env=PORT=9000", image())
    until(lambda: run("podman", "healthcheck", "run", own.name, check=False).returncode == 0)


def test_call_over_the_cap_is_refused(service):
    service.create(MODEL, **TWO_REQUESTS)
    assert [service.reserve(MODEL).status for _ in range(3)] == [200, 200, 429]


def test_compacting_writes_its_large_file_to_the_volume(own, state):
    fill(state / "governance.db", 5_000, time_ns() // 1000)
    give(state)
    options = ("--rm", "--read-only", "--read-only-tmpfs=false", "--shm-size=1m", f"--volume={state}:{VOLUME}")
    compact = (image(), "governance", "compact")
    podman("run", *options, *compact)
    told = run("podman", "run", *options, "--env=SQLITE_TMPDIR=", *compact, check=False)
    assert "full" in told.stderr


def test_sigterm_lets_a_request_finish_and_ends_in_time(own):
    own.start()
    post = SlowPost(own, {"model_name": MODEL, **TWO_REQUESTS})
    podman("kill", "--signal=TERM", own.name)
    assert post.finish() == 200
    until(lambda: own.state("Running") == "false", GRACE)
    assert own.state("ExitCode") == "0"


def test_second_start_on_the_volume_keeps_the_usage(own):
    own.start().create(MODEL, **TWO_REQUESTS)
    assert own.reserve(MODEL).status == 200
    exit_code, seconds = own.stop()
    assert exit_code == 0
    assert seconds < GRACE
    own.start()
    assert own.requests_held() == [1]
    assert [own.reserve(MODEL).status for _ in range(2)] == [200, 429]


def test_killed_container_starts_again_with_the_usage(own):
    own.start().create(MODEL, **TWO_REQUESTS)
    assert own.reserve(MODEL).status == 200
    podman("kill", "--signal=KILL", own.name)
    own.start()
    assert own.requests_held() == [1]


@pytest.mark.parametrize("revision", [REVISIONS[1], REVISIONS[-2]])
def test_volume_of_an_older_schema_is_migrated(own, state, revision):
    of_revision(state / "governance.db", revision)
    give(state)
    own.start()
    assert own.stop()[0] == 0
    assert revision_of(state / "governance.db") == REVISIONS[-1]
    assert revision_of(state / f"governance.db.before-{REVISIONS[-1]}") == revision


def test_sbom_lists_every_package_of_the_lock(tmp_path):
    file = tmp_path / "sbom.json"
    run("make", "sbom", f"SBOM={file}")
    told = json.loads(file.read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["name"] == "model-limits"
    assert {each["name"]: each["version"] for each in told["components"]} == read("requirements.lock")
    assert all(each["externalReferences"][0]["hashes"] for each in told["components"])
