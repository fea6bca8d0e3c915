"""The manifests are valid, promise what the service does, and agree with it and with its image."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from governance import __version__
from governance.settings import Settings
from tests.deploy.containers import VOLUME, Container
from tests.deploy.manifests import (
    ALONE,
    BIN,
    FOLDER,
    NAME,
    SIDECAR,
    container,
    environment,
    image_environment,
    manifests,
    mounts,
    pod,
    rendered,
    service_links,
)
from tests.deploy.test_container import GRACE, USER
from tests.docs.pages import sections
from tests.process.service import ROOT, Service, until

pytestmark = pytest.mark.deploy

OLDEST, NEWEST = "1.30", "1.37"
KEY = "k-3f9d8e7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e"
OF_THE_IMAGE_ALONE = {"PATH", "PYTHONDONTWRITEBYTECODE", "PORT"}
PAGE = ROOT / "docs/deploy/kubernetes.md"
BASE_OF_THE_OVERLAY = "../model-limits/deploy/kubernetes"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
both = pytest.mark.parametrize("folder", [ALONE, SIDECAR], ids=["alone", "sidecar"])
SERVICES = {
    NAME: [("limits", 8080)],
    "governance": [("http", 8080), ("metrics", 9090)],
    "governance-limits": [("http", 80)],
    "gunicorn": [("http", 8000)],
    "flask": [("http", 5000)],
    "prometheus": [("web", 9090)],
    "kubernetes": [("https", 443)],
}
"""Services of the same namespace. Two have our prefix, and three the names of our libraries."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Yield a function that starts the service as a manifest says, on a volume as Kubernetes mounts it."""
    made: list[Service] = []

    def start(folder: Path, **more: str) -> Service:
        volume, secrets = tmp_path / "volume", tmp_path / "secrets"
        mount_volume(volume)
        mount_secret(secrets, "admin-key", KEY)
        here = {VOLUME: volume, "/run/secrets/model-limits": secrets, "/tmp": tmp_path}  # noqa: S108 - the container's
        variables = (image_environment() | environment(folder)).items()
        found = {name: moved(value, here) for name, value in variables if name not in OF_THE_IMAGE_ALONE}
        service = Service(tmp_path, **found, **more)
        service.instance, service.kept_key = Path(found["GOVERNANCE_INSTANCE"]), KEY
        made.append(service)
        return service.start()

    yield start
    for each in made:
        each.end()


def moved(value: str, here: dict[str, Path]) -> str:
    """Return a variable's value. If it is a path in the container, return where that is on this machine."""
    found = [path for path in here if f"{value}/".startswith(f"{path}/")]
    return f"{here[found[0]]}{value.removeprefix(found[0])}" if found else value


@pytest.fixture
def in_its_container(tmp_path: Path) -> Iterator[Container]:
    """Yield the image with the mounts, the user and the variables of the manifest. It is not started."""
    volume, secrets = tmp_path / "volume", tmp_path / "secrets"
    mount_volume(volume)
    mount_secret(secrets, "admin-key", KEY)
    context, found = pod(ALONE)["securityContext"], mounts(ALONE)
    for path in (volume, *secrets.rglob("*")):
        os.chown(path, 0, context["fsGroup"], follow_symlinks=False)
    options = [f"--env={name}={value}" for name, value in environment(ALONE).items()]
    options += [f"--user={context['runAsUser']}:{context['runAsGroup']}"]
    options += [f"--volume={secrets}:{path}:ro" for path, each in found.items() if "secret" in each]
    options += [f"--tmpfs={path}:size=16m,mode=0777" for path, each in found.items() if "emptyDir" in each]
    made = Container("limits-in-kubernetes", str(volume), *options)
    made.kept_key = KEY
    yield made
    made.end()


def mount_volume(folder: Path) -> None:
    """Make a volume as fsGroup leaves a new disk: root's, and open to the group. Chown it to that group."""
    (folder / "lost+found").mkdir(mode=0o700, parents=True)
    folder.chmod(0o2775)


def mount_secret(folder: Path, name: str, text: str) -> None:
    """Write a Secret's key as the kubelet does: through two links, so that all keys change at once."""
    (folder / "..2026_11_27").mkdir(parents=True)
    (folder / "..2026_11_27" / name).write_text(text)
    (folder / "..2026_11_27" / name).chmod(0o440)
    (folder / "..data").symlink_to("..2026_11_27")
    (folder / name).symlink_to(f"..data/{name}")


@both
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_manifests_are_valid_in_the_oldest_and_the_newest_kubernetes(folder, version, tmp_path):
    file = tmp_path / "all.yaml"
    file.write_text(rendered(folder))
    command = [str(BIN / "kubernetes-validate"), "--strict", "-k", version, str(file)]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_overlay_of_the_page_is_valid_and_says_what_it_changes(tmp_path):
    (blocks,) = [section.blocks for section in sections(PAGE) if section.heading == "Install"]
    (text,) = [block.text for block in blocks if block.language == "yaml"]
    folder = os.path.relpath(ALONE, tmp_path.resolve())
    assert BASE_OF_THE_OVERLAY in text
    (tmp_path / "kustomization.yaml").write_text(text.replace(BASE_OF_THE_OVERLAY, folder))
    found = manifests(tmp_path)
    assert container(tmp_path)["image"] == f"registry.example.com/{NAME}:{__version__}"
    assert {each["metadata"]["namespace"] for each in found.values()} == {"llm"}
    (gateway,) = found["NetworkPolicy"]["spec"]["ingress"][0]["from"]
    assert gateway == {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "envoy"}}}
    assert found.keys() == manifests(ALONE).keys()


def test_validation_refuses_a_misspelt_field(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(rendered(ALONE).replace("livenessProbe:", "liveness:"))
    told = subprocess.run([str(BIN / "kubernetes-validate"), "--strict", str(file)], check=False, capture_output=True)
    assert told.returncode != 0


def test_alone_has_all_parts_under_one_name():
    found = manifests(ALONE)
    assert found.keys() == {"Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy"}
    assert {each["metadata"]["name"] for each in found.values()} == {NAME}


def test_no_manifest_has_a_secret():
    files = sorted(FOLDER.rglob("*.yaml"))
    assert len(files) == 9
    assert not any(each["kind"] == "Secret" for file in files for each in yaml.safe_load_all(file.read_text()))


@both
def test_one_pod_runs_at_a_time(folder):
    spec = manifests(folder)["Deployment"]["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@both
def test_image_is_the_one_that_make_image_makes(folder):
    assert container(folder)["image"] == f"localhost/{NAME}:{__version__}"


@both
def test_pod_has_no_rights(folder):
    """What the Pod Security Standard `restricted` asks of a container, and a root that is never written to."""
    context = pod(folder)["securityContext"] | container(folder)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert {context[name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {int(USER)}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert context["fsGroupChangePolicy"] == "OnRootMismatch"
    assert pod(folder)["automountServiceAccountToken"] is False
    assert pod(folder)["enableServiceLinks"] is False


@both
def test_container_writes_to_what_is_mounted(folder):
    variables, found = image_environment() | environment(folder), mounts(folder)
    assert Path(variables["GOVERNANCE_INSTANCE"]).parent == Path(VOLUME)
    assert found[VOLUME]["persistentVolumeClaim"]["claimName"] == NAME
    assert variables["SQLITE_TMPDIR"] == VOLUME
    assert "emptyDir" in found[variables["TMPDIR"]]


@both
def test_admin_key_is_a_file_of_the_secret(folder):
    file = Path(environment(folder)["GOVERNANCE_ADMIN_KEY_FILE"])
    secret = mounts(folder)[str(file.parent)]["secret"]
    assert secret["secretName"] == NAME
    assert [item["path"] for item in secret["items"]] == [file.name]
    assert secret["defaultMode"] == 0o440  # root's, and readable for the group of the volume


@both
def test_variables_are_settings(folder):
    known = {name for name, _, _ in Settings.table()} | {"TMPDIR"}
    assert environment(folder).keys() <= known


@both
def test_ports_agree(folder):
    (port,) = container(folder)["ports"]
    variables = image_environment() | environment(folder)
    assert str(port["containerPort"]) == variables["PORT"]
    assert variables["HOST"] in {"0.0.0.0", "::"}  # noqa: S104 - the kubelet's probes come from outside of the pod
    assert {container(folder)[probe]["httpGet"]["port"] for probe in PROBES} == {port["name"]}


def test_service_and_policy_lead_to_the_port_of_the_pod():
    found, (port,) = manifests(ALONE), container(ALONE)["ports"]
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    policy = found["NetworkPolicy"]["spec"]
    assert found["Service"]["spec"]["selector"] == policy["podSelector"]["matchLabels"] == labels
    assert [each["targetPort"] for each in found["Service"]["spec"]["ports"]] == [port["name"]]
    assert all(rule["ports"] == [{"protocol": "TCP", "port": port["name"]}] for rule in policy["ingress"])


@both
def test_prometheus_and_alloy_look_for_the_container(folder):
    (job,) = yaml.safe_load((ROOT / "deploy/prometheus/kubernetes.yml").read_text())["scrape_configs"]
    (port,) = container(folder)["ports"]
    keep = job["relabel_configs"][0]
    assert (keep["action"], keep["regex"]) == ("keep", f"{container(folder)['name']};{port['name']}")
    assert f'regex         = "{NAME}"' in (ROOT / "deploy/loki/kubernetes.alloy").read_text()


def test_only_named_pods_reach_the_service_and_it_reaches_nobody():
    policy = manifests(ALONE)["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    callers = [caller for rule in policy["ingress"] for caller in rule["from"]]
    assert len(callers) == 2
    assert all(caller["podSelector"] for caller in callers)  # an empty one would be every pod


def test_policy_names_the_gateway_of_the_example():
    gateways = manifests(ALONE)["NetworkPolicy"]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"]
    label = manifests(SIDECAR)["Deployment"]["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
    assert label in gateways[0]["values"]


@both
def test_start_has_time_for_a_migration(folder):
    probe = container(folder)["startupProbe"]
    seconds = probe["periodSeconds"] * probe["failureThreshold"]
    assert seconds == 15 * 60  # as in the unit of systemd
    assert manifests(folder)["Deployment"]["spec"]["progressDeadlineSeconds"] > seconds


@both
def test_pod_is_killed_only_after_calls_under_way_had_their_time(folder):
    sleep = container(folder).get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"]["seconds"]
    assert pod(folder)["terminationGracePeriodSeconds"] > sleep + GRACE
    assert sleep == 0 or folder == ALONE  # a sidecar ends after the only one that asks it


@both
def test_readiness_waits_longer_than_the_busy_timeout(folder):
    assert container(folder)["readinessProbe"]["timeoutSeconds"] > Settings().busy_timeout


def test_sidecar_leaves_the_gateway_as_it_is():
    gateway = yaml.safe_load((SIDECAR / "gateway.yaml").read_text())["spec"]["template"]["spec"]
    found = pod(SIDECAR)
    assert found["containers"] == gateway["containers"]
    assert gateway["volumes"][0] in found["volumes"]
    assert [each["name"] for each in found["initContainers"]] == [NAME]
    assert found["initContainers"][0]["restartPolicy"] == "Always"
    assert "runAsUser" not in found["securityContext"]


def test_sidecar_is_the_container_that_runs_alone():
    alone, beside = container(ALONE), container(SIDECAR)
    for name in ("image", "env", "ports", "startupProbe", "livenessProbe", "readinessProbe", "resources"):
        assert alone[name] == beside[name]
    kinds = [{path: each.keys() - {"name"} for path, each in mounts(folder).items()} for folder in (ALONE, SIDECAR)]
    assert kinds[0] == kinds[1]
    assert manifests(ALONE)["PersistentVolumeClaim"] == manifests(SIDECAR)["PersistentVolumeClaim"]


@both
def test_service_starts_as_the_manifest_says_and_answers_its_probes(folder, started):
    service = started(folder)
    paths = [container(folder)[probe]["httpGet"]["path"] for probe in PROBES]
    assert paths == ["/healthz", "/healthz", "/readyz"]
    assert [service.call("GET", path, key="").status for path in paths] == [200] * 3
    assert service.call("GET", "/api/governance/model-configs").status == 200  # with the key of the Secret


def test_container_decides_on_a_volume_that_only_its_group_may_write_to(in_its_container):
    service = in_its_container.start()
    service.create("gpt-4o", rate_limit={"request_max_limit": 1, "request_reset_duration": "1d"})
    assert [service.reserve("gpt-4o").status for _ in range(2)] == [200, 429]
    writable = service.sh("for place in / /tmp /run /opt/model-limits; do test -w $place && echo $place; done; true")
    assert writable == "/tmp"  # noqa: S108 - the container's
    doctor = service.sh("governance doctor")
    assert "files, for their owner alone" in doctor
    assert service.sh(f"stat -c %a:%u {VOLUME}/state/governance.db") == f"600:{USER}"
    assert service.stop()[0] == 0


def test_services_of_the_namespace_do_not_stop_the_start(started):
    links = {}
    for name, ports in SERVICES.items():
        links |= service_links(name, ports)
    service = started(ALONE, **links)
    assert service.call("GET", "/readyz", key="").status == 200
    assert "Unset" not in service.stderr.read_text()
    command = [str(BIN / "flask"), "governance", "limits", "list", "--json"]
    told = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ | service.environ
    )
    assert "Unset" not in told.stderr


def test_links_of_a_service_are_those_of_kubernetes():
    """The example of its documentation: https://kubernetes.io/docs/concepts/services-networking/service/."""
    assert service_links("redis-primary", [("redis", 6379)], "10.0.0.11") == {
        "REDIS_PRIMARY_SERVICE_HOST": "10.0.0.11",
        "REDIS_PRIMARY_SERVICE_PORT": "6379",
        "REDIS_PRIMARY_SERVICE_PORT_REDIS": "6379",
        "REDIS_PRIMARY_PORT": "tcp://10.0.0.11:6379",
        "REDIS_PRIMARY_PORT_6379_TCP": "tcp://10.0.0.11:6379",
        "REDIS_PRIMARY_PORT_6379_TCP_PROTO": "tcp",
        "REDIS_PRIMARY_PORT_6379_TCP_PORT": "6379",
        "REDIS_PRIMARY_PORT_6379_TCP_ADDR": "10.0.0.11",
    }


def test_sigterm_ends_the_service_within_its_grace_period(started):
    service = started(ALONE)
    os.kill(service.pid, signal.SIGTERM)
    assert service.process is not None
    until(lambda: service.process.poll() is not None, GRACE)
    assert service.process.returncode == 0
