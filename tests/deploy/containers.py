"""Podman and buildah with a storage of the tests' own, an image as a base where there is no registry, and our image."""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from zlib import crc32

from tests.process.service import ROOT, Answer, Service, free_port, until

WORK = ROOT / "tests/deploy/.work"
STORE = WORK / "containers"
BASE = "localhost/debian-with-python:bookworm"
IMAGE = "localhost/model-limits:under-test"
VOLUME = "/var/lib/model-limits"
PACKAGES = "python3,python3-pip"
HARDENED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""Without the second option Podman, unlike Docker, makes /tmp and /run writable under a read-only root."""
HYBRID_CGROUPS = Path("/sys/fs/cgroup/unified")
"""Where this folder exists, crun refuses to start."""
CERTIFICATES = "/etc/ssl/certs"
SECONDS = 400


@cache
def environ() -> dict[str, str]:
    """Return the environment of podman and buildah. No storage and no setting of the machine is used."""
    STORE.mkdir(parents=True, exist_ok=True)
    storage, containers = STORE / "storage.conf", STORE / "containers.conf"
    runroot = f"/run/model-limits-tests-{crc32(str(STORE).encode()):08x}"
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{STORE}/images"\nrunroot = "{runroot}"\n')
    runtime = 'runtime = "runc"\n' if HYBRID_CGROUPS.exists() else ""
    limits = 'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]'  # a sandbox's root may not raise its own
    containers.write_text(
        f'[containers]\n{limits}\nlog_driver = "k8s-file"\n'
        f'[engine]\n{runtime}cgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{STORE}/networks"\n'
    )
    return {**os.environ, "CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(containers)}


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command with the tests' storage. If it fails, its output is in the test's failure."""
    options = {"capture_output": True, "text": True, "timeout": SECONDS, "cwd": ROOT}
    told = subprocess.run(command, env=environ(), check=False, **options)
    assert not check or told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
    return told


def podman(*arguments: str, check: bool = True) -> str:
    return run("podman", *arguments, check=check).stdout.strip()


def exists(image: str) -> bool:
    return run("podman", "image", "exists", image, check=False).returncode == 0


def size(image: str) -> int:
    """Return the bytes of an image, uncompressed."""
    return int(podman("image", "inspect", "--format", "{{.Size}}", image))


@cache
def base() -> str:
    """Return an image of Debian with Python and pip, made by debootstrap. It is kept for the next run."""
    if not exists(BASE):
        root = WORK / "debootstrap"
        shutil.rmtree(root, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root))
        for waste in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(root / waste)
        run("bash", "-c", f"set -o pipefail; tar -C '{root}' -c . | podman import - {BASE}")
        shutil.rmtree(root)
    return BASE


@cache
def image() -> str:
    """Return our image as `make image` builds it on that base. The build sees the machine's certificates."""
    flags = f"--network host --isolation chroot --pull-never --volume {CERTIFICATES}:{CERTIFICATES}:ro"
    run("make", "image", f"IMAGE={IMAGE}", f"BASE={base()}", f"BUILD_FLAGS={flags}")
    podman("image", "prune", "--force")  # the image of the run before
    return IMAGE


def build(name: str, containerfile: str, context: Path) -> None:
    """Build another image for a test, from the text of a Containerfile."""
    file = STORE / "Containerfile"
    file.write_text(containerfile)
    run("buildah", "build", "--pull-never", "--isolation=chroot", f"--file={file}", f"--tag={name}", str(context))


class Endpoint(Service):
    """What answers on a port of this machine from a container. There is no process of ours to look at."""

    def __init__(self) -> None:
        self.port = free_port()
        self.kept_key = None

    def is_ready(self) -> bool:
        return self.answers("/readyz")

    def answers(self, path: str) -> bool:
        with suppress(OSError, HTTPException):
            return self.call("GET", path, key="").status == 200
        return False


class Container(Endpoint):
    """The service in a container: read-only, without rights, on a volume."""

    def __init__(self, name: str, volume: str, *options: str) -> None:
        super().__init__()
        self.name, self.volume, self.options = name, volume, options

    def start(self) -> "Container":
        """Start the container. Wait until the service is ready."""
        podman("rm", "--force", "--time=0", self.name, check=False)
        published, volume = f"--publish=127.0.0.1:{self.port}:8080", f"--volume={self.volume}:{VOLUME}"
        podman("run", "--detach", f"--name={self.name}", *HARDENED, published, volume, *self.options, image())
        until(self.is_ready)
        return self

    def is_ready(self) -> bool:
        assert self.state("Running") == "true", self.log()
        return super().is_ready()

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM. Return the exit code and the seconds until the end."""
        began = monotonic()
        podman("stop", "--time=35", self.name)
        return int(self.state("ExitCode")), monotonic() - began

    def end(self) -> None:
        """Remove the container in any state, and its volume."""
        podman("rm", "--force", "--time=0", self.name, check=False)
        podman("volume", "rm", "--force", self.volume, check=False)

    def sh(self, command: str, *, check: bool = True) -> str:
        """Run a shell command in the container. Return what it wrote."""
        told = run("podman", "exec", self.name, "sh", "-c", command, check=check)
        return (told.stdout + told.stderr).strip()

    def state(self, field: str) -> str:
        return podman("inspect", "--format", f"{{{{.State.{field}}}}}", self.name)

    def log(self) -> str:
        told = run("podman", "logs", self.name, check=False)
        return told.stdout + told.stderr

    @property
    def key(self) -> str:
        """The admin key that the first start created."""
        self.kept_key = self.kept_key or self.sh(f"cat {VOLUME}/admin.key")
        return self.kept_key

    def reserve(self, model: str) -> Answer:
        return self.call("POST", "/api/governance/reservations", {"model": model})

    def requests_held(self) -> list[int]:
        """Return how many requests each limit holds for open reservations, as the command in the container says."""
        limits = json.loads(self.sh("governance limits list --json"))["model_configs"]
        return [limit["rate_limit"]["request_reserved"] for limit in limits]
