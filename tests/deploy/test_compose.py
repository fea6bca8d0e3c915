"""The Compose file is valid and hardened, and what can be had of its stack runs as it says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from governance import __version__
from tests.deploy.containers import podman, run
from tests.deploy.dashboard import queries
from tests.deploy.stack import COMPOSE, FILE, PODMAN_COMPOSE, SERVICES, Stack
from tests.process.service import ROOT, until

pytestmark = pytest.mark.deploy

BIN = Path(sys.executable).parent
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")
SECRET = re.compile(r"KEY|PASSWORD|TOKEN|SECRET")
FORBIDDEN = {"privileged", "cap_add", "network_mode", "pid", "devices"}
RECIPE = "../examples/gateways/envoy/envoy.yaml"
MESSAGES = "/v1/messages"
RUNNING = ("limits", "model", "envoy", "prometheus")
each_service = pytest.mark.parametrize("name", SERVICES)


def default(text: str) -> str:
    """Return a text of the file with the default of each variable."""
    return VARIABLE.sub(lambda found: found[1], text)


def mounts(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield source, target and options of each mount of a service."""
    for text in SERVICES[name].get("volumes", ()):
        source, target, options, *_ = [*text.split(":"), ""]
        yield source, target, options


def test_file_is_valid_compose():
    run(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE))


def test_config_shows_every_service():
    told = run(PODMAN_COMPOSE, f"--file={FILE}", "config").stdout
    assert yaml.safe_load(told)["services"].keys() == SERVICES.keys()


@each_service
def test_service_is_hardened(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.keys() & FORBIDDEN == set()
    assert service["healthcheck"]["test"][0] == "CMD"
    assert name == "limits" or int(service["user"].partition(":")[0]) > 0  # the image of limits names its own


@each_service
def test_image_is_pinned_by_a_full_version(name):
    repository, _, tag = default(SERVICES[name]["image"]).rpartition(":")
    assert repository
    assert re.match(r"v?\d+\.\d+\.\d+", tag)


def test_limits_image_is_the_one_that_make_image_makes():
    assert default(SERVICES["limits"]["image"]) == f"localhost/model-limits:{__version__}"
    assert SERVICES["limits"]["build"] == {"context": "..", "dockerfile": "deploy/Containerfile"}


def test_model_runs_on_the_base_of_our_image():
    assert f"ARG BASE={SERVICES['model']['image']}\n" in (ROOT / "deploy/Containerfile").read_text()


def test_envoy_is_the_one_that_the_recipe_was_tested_with():
    version = SERVICES["envoy"]["image"].rpartition(":v")[2]
    assert f"\nenvoy-server=={version}\n" in (ROOT / "tests/gateways/requirements.txt").read_text()


@each_service
def test_mounted_files_exist_and_are_read_only(name):
    for source, target, options in mounts(name):
        if source.startswith("."):
            assert (FILE.parent / source).exists(), source
            assert options == "ro", target
        else:
            assert source in COMPOSE["volumes"]


def test_recipe_is_mounted_from_the_examples():
    assert RECIPE in {source for source, _, _ in mounts("envoy")}


@each_service
def test_ports_are_open_on_this_machine_only(name):
    assert all(default(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_no_key_or_password_stands_in_the_file():
    names = {name for service in SERVICES.values() for name in service.get("environment", ())}
    assert {name for name in names if SECRET.search(name) and not name.endswith("__FILE")} == set()
    assert all(default(each["file"]).startswith("./secrets/") for each in COMPOSE["secrets"].values())
    run("git", "check-ignore", "--quiet", "deploy/secrets/governance_key")


def test_each_secret_is_used_and_each_used_one_is_there():
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert used == COMPOSE["secrets"].keys()


@each_service
def test_service_waits_for_healthy_ones(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other]


def test_start_of_envoy_changes_every_address_of_the_recipe():
    edits = re.findall(r"'s/(.*?)/(.*?)/'", (ROOT / "deploy/envoy/start.sh").read_text())
    recipe = (FILE.parent / RECIPE).read_text()
    assert [len(re.findall(before, recipe)) for before, _ in edits] == [1, 1, 2]
    assert len(re.findall(r"address: 127\.0\.0\.1, port_value", recipe)) == 4
    assert [re.findall(r"[\w.]+", after)[1] for _, after in edits] == ["0.0.0.0", "limits", "model"]  # noqa: S104


def test_grafana_and_prometheus_find_each_other():
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    found = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/model-limits.yaml").read_text())
    folder = found["providers"][0]["options"]["path"]
    assert f"{folder}/model-limits.json" in {target for _, target, _ in mounts("grafana")}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("secrets"))
    try:
        yield made.start()
    finally:
        made.end()


@pytest.mark.parametrize("name", RUNNING)
def test_running_container_has_no_rights(stack, name):
    container = stack.container(name)
    assert podman("inspect", "--format", "{{.HostConfig.ReadonlyRootfs}} {{.EffectiveCaps}}", container) == "true []"
    assert podman("exec", container, "grep", "NoNewPrivs", "/proc/1/status").split() == ["NoNewPrivs:", "1"]
    assert name == "prometheus" or stack.is_healthy(name)  # the check of Prometheus is for its own image, with wget


def test_call_over_the_cap_is_refused_by_envoy(stack):
    key = stack.virtual_key("two calls", rate_limit={"request_max_limit": 2, "request_reset_duration": "1d"})
    answers = [stack.ask(key), stack.ask(key, "claude-haiku-4-5", MESSAGES), stack.ask(key)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[0].body["choices"][0]["message"]["content"] == answers[1].body["content"][0]["text"]
    assert answers[2].body["error"]["code"] == "request_limited"


def test_call_is_charged_what_the_stand_in_says(stack):
    key = stack.virtual_key("tokens", rate_limit={"token_max_limit": 5000, "token_reset_duration": "1d"})
    assert stack.ask(key).status == 200
    until(lambda: stack.tokens(5000) == (20, 0))


def test_unknown_key_is_refused(stack):
    assert stack.ask("sk-gov-nobody").status == 401


def test_prometheus_scrapes_the_service_and_loads_the_rules(stack):
    def health() -> list[str]:
        targets = stack.prometheus.call("GET", "/api/v1/targets", key="").body["data"]["activeTargets"]
        return [each["health"] for each in targets]

    until(lambda: stack.prometheus.answers("/api/v1/status/buildinfo"))
    until(lambda: health() == ["up"])
    assert stack.prometheus.call("GET", "/api/v1/rules", key="").body["data"]["groups"]


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.panel)
def test_prometheus_answers_the_queries_of_the_dashboard(stack, query):
    answer = stack.prometheus.call("GET", f"/api/v1/query?query={query.quoted}", key="")
    assert (answer.status, answer.body["status"]) == (200, "success")
