"""Starts the real proxies, each with the very files of its recipe and as its README says."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.process.service import DEADLINE, ROOT, free_port, until

RECIPES = ROOT / "examples" / "gateways"
BIN = Path(sys.executable).parent
KEYS = {"OPENAI_API_KEY": "sk-upstream-openai", "ANTHROPIC_API_KEY": "sk-upstream-anthropic"}
NOT_YET = {"traefik": 404}
"""What a proxy answers that listens before it has read its routes."""


class Proxy:
    """A proxy in a process group of its own. Commands and environments are the recipes'."""

    def __init__(self, recipe: str, folder: Path, *, limits: int, models: int, key: str, fail_open: bool) -> None:
        self.recipe, self.folder, self.port = recipe, folder, free_port()
        self.limits, self.models, self.fail_open = limits, models, fail_open
        self.log = folder / "log.txt"
        self.environ = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "GOVERNANCE_KEY": key,
            **KEYS,
        }
        shutil.copytree(RECIPES / recipe, folder, dirs_exist_ok=True)
        command = STARTERS[recipe](self)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(self._answers)
        except AssertionError:
            self.end()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        """Whether it listens, and has read its routes."""
        assert self.process.poll() is None, self.log.read_text()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=1)
        with suppress(ConnectionError, HTTPException), closing(connection):
            connection.request("GET", "/v1/messages")
            try:
                return connection.getresponse().status != NOT_YET.get(self.recipe)
            except TimeoutError:  # it asks a service that does not answer
                return True
        return False

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)


def _envoy(proxy: Proxy) -> list[str]:
    ports = {10000: proxy.port, 8080: proxy.limits, 8000: proxy.models, 8001: proxy.models}
    _edit(proxy, *(f"s/port_value: {theirs}}}/port_value: {ours}}}/" for theirs, ours in ports.items()))
    if proxy.fail_open:
        _edit(proxy, "s/failure_mode_allow: false/failure_mode_allow: true/")
    return ["envoy", "-c", "envoy.yaml", "--concurrency", "2", "--disable-hot-restart", "--log-level", "warning"]


def _edit(proxy: Proxy, *edits: str) -> None:
    file = proxy.folder / "envoy.yaml"
    for edit in edits:
        before = file.read_bytes()
        subprocess.run(["sed", "-i", edit, file], check=True)
        assert file.read_bytes() != before, f"{edit} changes nothing"


def _nginx(proxy: Proxy) -> list[str]:
    models = f"127.0.0.1:{proxy.models}"
    proxy.environ |= {"LISTEN": f"127.0.0.1:{proxy.port}", "LIMITS": f"127.0.0.1:{proxy.limits}"}
    proxy.environ |= {"OPENAI": models, "ANTHROPIC": models, "NGINX_FOLDER": str(proxy.folder)}
    proxy.environ |= {"GOVERNANCE_FAIL": "open"} if proxy.fail_open else {}
    template, finished = proxy.folder / "nginx.conf.template", proxy.folder / "nginx.conf"
    names = VARIABLES[proxy.recipe]
    with template.open() as source, finished.open("w") as target:
        subprocess.run(["envsubst", names], env=proxy.environ, stdin=source, stdout=target, check=True)
    quiet = f"daemon off; pid {proxy.folder}/nginx.pid; error_log stderr;"
    return ["nginx", "-c", str(finished), "-e", "stderr", "-g", quiet]


VARIABLES = {
    "nginx": "$LISTEN $LIMITS $OPENAI $ANTHROPIC $NGINX_FOLDER",
    "nginx-auth-request": "$LISTEN $LIMITS $OPENAI $ANTHROPIC $GOVERNANCE_KEY $OPENAI_API_KEY $ANTHROPIC_API_KEY",
}


def _traefik(proxy: Proxy) -> list[str]:
    models = f"http://127.0.0.1:{proxy.models}"
    proxy.environ |= {"LIMITS": f"http://127.0.0.1:{proxy.limits}", "OPENAI": models, "ANTHROPIC": models}
    options = {
        "entryPoints.models.address": f"127.0.0.1:{proxy.port}",
        "entryPoints.models.http.aliasHeadersStrategy": "delete",
        "providers.file.filename": "models.yaml",
        "global.checkNewVersion": "false",
    }
    return ["traefik", *(f"--{name}={value}" for name, value in options.items())]


def _caddy(proxy: Proxy) -> list[str]:
    models = f"127.0.0.1:{proxy.models}"
    proxy.environ |= {"PORT": str(proxy.port), "LIMITS": f"127.0.0.1:{proxy.limits}"}
    proxy.environ |= {"OPENAI": models, "ANTHROPIC": models}
    return ["caddy", "run", "--config", "Caddyfile"]


STARTERS: dict[str, Callable[[Proxy], list[str]]] = {
    "envoy": _envoy,
    "nginx": _nginx,
    "nginx-auth-request": _nginx,
    "traefik": _traefik,
    "caddy": _caddy,
}
