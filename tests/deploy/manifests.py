"""The manifests of deploy/kubernetes, as kustomize renders them, and what Kubernetes makes of them."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.process.service import ROOT

BIN = Path(sys.executable).parent
FOLDER = ROOT / "deploy/kubernetes"
ALONE, SIDECAR = FOLDER, FOLDER / "sidecar"
NAME = "model-limits"
Manifest = dict[str, Any]


@cache
def rendered(folder: Path) -> str:
    """Return what `kubectl apply -k` would send."""
    command = [str(BIN / "kubectl"), "kustomize", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def manifests(folder: Path) -> dict[str, Manifest]:
    """Return the rendered manifests by kind. There is one of each kind."""
    found = list(yaml.safe_load_all(rendered(folder)))
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


def pod(folder: Path) -> Manifest:
    """Return the pod's specification."""
    return dict(manifests(folder)["Deployment"]["spec"]["template"]["spec"])


def container(folder: Path) -> Manifest:
    """Return the service's container. In the sidecar it is among the init containers."""
    spec = pod(folder)
    (found,) = [each for each in spec["containers"] + spec.get("initContainers", []) if each["name"] == NAME]
    return dict(found)


def mounts(folder: Path) -> dict[str, Manifest]:
    """Return the volume of each path that is mounted into the service's container."""
    volumes = {each["name"]: each for each in pod(folder)["volumes"]}
    return {mount["mountPath"]: volumes[mount["name"]] for mount in container(folder)["volumeMounts"]}


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that the manifest sets."""
    return {each["name"]: each["value"] for each in container(folder)["env"]}


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    lines = iter((ROOT / "deploy/Containerfile").read_text().splitlines())
    return dict(_variable(line) for line in _continued(lines) if "=" in line)


def _continued(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of the ENV instruction."""
    for line in lines:
        if line.startswith("ENV "):
            yield line.removeprefix("ENV ")
            while line.endswith("\\"):
                line = next(lines)  # noqa: PLW2901 - the instruction's next line
                yield line


def _variable(line: str) -> tuple[str, str]:
    name, _, value = line.strip().removesuffix("\\").strip().partition("=")
    return name, value


def service_links(name: str, ports: list[tuple[str, int]], address: str = "10.96.0.20") -> dict[str, str]:
    """Return the variables that Kubernetes gives to each pod for a Service with these named ports.

    See https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
    """
    prefix = name.upper().replace("-", "_")
    _, first = ports[0]
    found = {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(first),
        f"{prefix}_PORT": f"tcp://{address}:{first}",
    }
    for port_name, port in ports:
        found[f"{prefix}_SERVICE_PORT_{port_name.upper().replace('-', '_')}"] = str(port)
        found[f"{prefix}_PORT_{port}_TCP"] = f"tcp://{address}:{port}"
        found[f"{prefix}_PORT_{port}_TCP_PROTO"] = "tcp"
        found[f"{prefix}_PORT_{port}_TCP_PORT"] = str(port)
        found[f"{prefix}_PORT_{port}_TCP_ADDR"] = address
    return found
