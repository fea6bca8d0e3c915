"""The stack of deploy/compose.yaml, with images made here in place of those that only a registry has.

Our service and the stand-in for a model are the real ones. Envoy is the real one of PyPI, Prometheus that of Debian.
There is no Grafana.
"""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.containers import Endpoint, base, build, image, podman, run
from tests.process.service import ROOT, Answer, until

FILE = ROOT / "deploy/compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PODMAN_COMPOSE = str(Path(sys.executable).with_name("podman-compose"))
PROJECT = "model-limits-under-test"
SECRETS = {"openai_api_key": "sk-openai", "anthropic_api_key": "sk-anthropic", "grafana_password": "not-the-default"}
KEY_FOR_ENVOY = ("governance", "keys", "create", "envoy", "--scope", "meter")


def make_images() -> None:
    """Make an image for each service of the stack, under the name that compose.yaml gives it."""
    podman("tag", base(), SERVICES["model"]["image"])
    envoy = Path(str(find_spec("envoy").origin)).parent / "_bin"  # type: ignore[union-attr]
    build(SERVICES["envoy"]["image"], f"FROM {base()}\nCOPY envoy /usr/local/bin/envoy\n", envoy)
    prometheus = Path(str(shutil.which("prometheus")))
    entry = f'FROM {base()}\nCOPY {prometheus.name} /bin/prometheus\nENTRYPOINT ["/bin/prometheus"]\n'
    build(SERVICES["prometheus"]["image"], entry, prometheus.parent)


class Stack(Endpoint):
    """The running stack. Its own calls go to the limits service."""

    def __init__(self, secrets: Path) -> None:
        super().__init__()
        self.secrets, self.envoy, self.prometheus = secrets, Endpoint(), Endpoint()
        ports = {"LIMITS_PORT": self.port, "ENVOY_PORT": self.envoy.port, "PROMETHEUS_PORT": self.prometheus.port}
        variables = {"MODEL_LIMITS_IMAGE": image(), "SECRETS": secrets, **ports}
        self.command = ["env", *(f"{name}={value}" for name, value in variables.items()), PODMAN_COMPOSE]
        self.command += ["--in-pod=false", f"--project-name={PROJECT}", f"--file={FILE}"]

    def compose(self, *arguments: str) -> str:
        return run(*self.command, *arguments).stdout

    def start(self) -> "Stack":
        """Start the services in the steps of docs/deploy/compose.md."""
        make_images()
        self.end()  # a run before may have been killed
        for name, value in SECRETS.items():
            (self.secrets / name).write_text(value)
        self.compose("up", "--detach", "--no-build", "limits", "model")
        until(self.is_ready)
        (self.secrets / "governance_key").write_text(self.compose("exec", "-T", "limits", *KEY_FOR_ENVOY))
        self.compose("up", "--detach", "--no-build", "envoy", "prometheus")
        until(lambda: self.is_healthy("envoy"))
        return self

    def is_healthy(self, name: str) -> bool:
        """Run the health check of a service. Podman would let systemd run it."""
        return run("podman", "healthcheck", "run", self.container(name), check=False).returncode == 0

    def container(self, name: str) -> str:
        return f"{PROJECT}_{name}_1"

    def end(self) -> None:
        self.compose("down", "--volumes")

    @property
    def key(self) -> str:
        """The admin key that the first start created."""
        command = ("exec", "-T", "limits", "cat", "/var/lib/model-limits/admin.key")
        self.kept_key = self.kept_key or self.compose(*command).strip()
        return self.kept_key

    def virtual_key(self, name: str, **limit: Any) -> str:
        """Create a virtual key with a limit of its own on all models. Return its value."""
        made = self.call("POST", "/api/governance/virtual-keys", {"name": name}).body["virtual_key"]
        self.create("*", scope="virtual_key", scope_id=made["id"], **limit)
        return str(made["value"])

    def tokens(self, most: int) -> tuple[int, int]:
        """Return what is used and reserved of the rate limit with this maximum."""
        limits = self.call("GET", "/api/governance/model-configs?limit=100").body["model_configs"]
        rates = [limit["rate_limit"] for limit in limits if limit["rate_limit"]["token_max_limit"] == most]
        return rates[0]["token_current_usage"], rates[0]["token_reserved"]

    def ask(self, key: str, model: str = "gpt-4o-mini", path: str = "/v1/chat/completions") -> Answer:
        """Call a model through Envoy."""
        body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
        return self.envoy.call("POST", path, body, key=key)
