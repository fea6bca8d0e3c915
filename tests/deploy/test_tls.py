"""TLS in front of the service: the configurations of docs/reverse-proxy.md, run by real nginx and Caddy."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from tests.process.service import DEADLINE, ROOT, Service, free_port, until

pytestmark = pytest.mark.deploy

PAGE = ROOT / "docs" / "reverse-proxy.md"
NAME = "limits.example.com"
MODEL = {"model": "gpt-4o", "cost": 0.75}


class Reply(NamedTuple):
    """A response, read to its end."""

    status: int
    headers: Any
    text: str


class Front:
    """A running proxy: its ports, and its certificate."""

    def __init__(self, folder: Path, limits: int, prefix: str) -> None:
        self.folder, self.limits, self.prefix = folder, limits, prefix
        self.http, self.https = free_port(), free_port()
        self.certificate, self.private_key = folder / "limits.crt", folder / "limits.key"
        subject = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
        files = ["-keyout", self.private_key, "-out", self.certificate]
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        subprocess.run([*new, *subject, *files], check=True, capture_output=True)
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *command: str | Path) -> None:
        environ = os.environ | {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        with (self.folder / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log.txt").read_text()
        with suppress(OSError, HTTPException):
            return self.call("GET", f"{self.prefix}/healthz").status == 200
        return False

    def end(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(DEADLINE)

    def call(self, method: str, path: str, body: str | None = None, **headers: str) -> Reply:
        """Send a request over TLS, as a client of the public name does."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        with closing(Named(self.https, trusted)) as connection:
            return _reply(connection, method, path, body, {"Host": NAME, **headers})

    def plain(self, path: str) -> Reply:
        """Send a request without TLS."""
        with closing(HTTPConnection("127.0.0.1", self.http, timeout=DEADLINE)) as connection:
            return _reply(connection, "GET", path, None, {"Host": NAME})


class Named(HTTPSConnection):
    """A connection to this machine that asks for the public name, as if DNS led here."""

    def __init__(self, port: int, trusted: ssl.SSLContext) -> None:
        super().__init__(NAME, port, timeout=DEADLINE, context=trusted)
        self.trusted = trusted

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        self.sock = self.trusted.wrap_socket(plain, server_hostname=NAME)


def _reply(connection: HTTPConnection, method: str, path: str, body: str | None, headers: dict[str, str]) -> Reply:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return Reply(answer.status, answer.headers, answer.read().decode())


def blocks(language: str) -> list[str]:
    """The configurations of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def changed(text: str, changes: dict[str, object]) -> str:
    """Replace what differs on this machine: ports, and where the certificate is."""
    for before, after in changes.items():
        assert before in text, before
        text = text.replace(before, str(after))
    return text


def nginx(front: Front, *, prefix: bool = False) -> None:
    config, behind_a_prefix = blocks("nginx")
    if prefix:
        root = re.search(r"    location / \{.*?\n    \}\n", config, re.DOTALL)
        assert root is not None
        config = config.replace(root[0], behind_a_prefix)
    config = changed(
        config,
        {
            "127.0.0.1:8080": f"127.0.0.1:{front.limits}",
            "listen 80;": f"listen 127.0.0.1:{front.http};",
            "listen 443 ssl;": f"listen 127.0.0.1:{front.https} ssl;",
            "/etc/ssl/limits.crt": front.certificate,
            "/etc/ssl/limits.key": front.private_key,
        },
    )
    file = front.folder / "nginx.conf"
    file.write_text(f"events {{}}\nhttp {{\naccess_log off;\n{config}}}\n")
    quiet = f"daemon off; pid {front.folder}/nginx.pid; error_log stderr;"
    front.run("nginx", "-c", file, "-e", "stderr", "-g", quiet)


def caddy(front: Front) -> None:
    (config,) = blocks("caddyfile")
    ports = f"    admin off\n    http_port {front.http}\n    https_port {front.https}\n    servers {{\n"
    file = front.folder / "Caddyfile"
    file.write_text(
        changed(
            config,
            {
                "127.0.0.1:8080": f"127.0.0.1:{front.limits}",
                "    servers {\n": ports,
                f"{NAME} {{\n": f"{NAME} {{\n    tls {front.certificate} {front.private_key}\n",
            },
        )
    )
    front.run(Path(sys.executable).parent / "caddy", "run", "--config", file)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service"), GOVERNANCE_TRUSTED_PROXIES="127.0.0.1")
    try:
        made.start()
        made.create("gpt-4o", budget={"max_limit": 1, "reset_duration": "1d"})
        assert made.call("POST", "/api/governance/reservations", MODEL).status == 200
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def front(
    request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    yield from started(request.param, service, tmp_path_factory)


@pytest.fixture(scope="module")
def behind_a_prefix(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    yield from started(lambda front: nginx(front, prefix=True), service, tmp_path_factory, "/limits")


def started(
    run: Callable[[Front], None], service: Service, folders: pytest.TempPathFactory, prefix: str = ""
) -> Iterator[Front]:
    made = Front(folders.mktemp("front"), service.port, prefix)
    try:
        run(made)
        yield made
    finally:
        made.end()


def test_http_is_sent_to_https(front: Front) -> None:
    reply = front.plain("/ui?x=1")
    assert reply.status in {301, 308}
    assert re.fullmatch(rf"https://{NAME}(:\d+)?/ui\?x=1", reply.headers["Location"])


def test_a_refused_call_passes_with_its_sentence(front: Front, service: Service) -> None:
    key = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}
    reply = front.call("POST", "/api/governance/reservations", json.dumps(MODEL), **key)
    direct = service.call("POST", "/api/governance/reservations", MODEL)
    assert (reply.status, direct.status) == (402, 402)
    assert json.loads(reply.text)["error"]["message"] == direct.body["error"]["message"]
    assert reply.headers["Retry-After"]
    assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_metrics_are_not_public(front: Front, service: Service) -> None:
    assert front.call("GET", "/metrics").status == 404
    assert "governance_" in service.text("/metrics")


def test_a_body_over_the_bound_is_refused_by_the_proxy(front: Front, service: Service) -> None:
    key = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}
    assert front.call("POST", "/api/governance/reservations", " " * (2**20 + 1), **key).status == 413


def test_one_signs_in_with_a_secure_cookie(front: Front, service: Service) -> None:
    signs_in(front, service, "")


def test_a_prefix_needs_no_setting(behind_a_prefix: Front, service: Service) -> None:
    signs_in(behind_a_prefix, service, "/limits")
    key = {"Authorization": f"Bearer {service.key}"}
    reply = behind_a_prefix.call("GET", "/limits/api/governance/model-configs?limit=1", **key)
    assert json.loads(reply.text)["total_count"] == 1


def signs_in(front: Front, service: Service, prefix: str) -> None:
    """Sign in as a browser does: with cookies, by relative addresses, to the overview, and change something."""
    base = f"https://{NAME}{prefix}/ui/sign-in"
    page = front.call("GET", urlsplit(base).path)
    cookies = cookies_of(page)
    assert cookies
    assert all(each["secure"] and each["httponly"] and each["samesite"] == "Strict" for each in cookies.values())
    reply = front.call(
        "POST",
        urlsplit(base).path,
        urlencode({"form": token(page), "key": service.key}),
        **form_headers(cookies),
    )
    assert reply.status == 303, reply.text
    there = urljoin(base, reply.headers["Location"])
    assert there == f"https://{NAME}{prefix}/ui"
    cookies.update(cookies_of(reply))
    overview = front.call("GET", urlsplit(there).path, **form_headers(cookies))
    assert overview.status == 200
    assert "Nearest to the cap" in overview.text
    links = {
        urlsplit(urljoin(there, link)).path for link in re.findall(r'(?:href|src|action)="([^"#]+)"', overview.text)
    }
    assert links
    for path in links:
        assert path.startswith(f"{prefix}/ui"), path


def cookies_of(reply: Reply) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for header in reply.headers.get_all("Set-Cookie") or ():
        found.load(header)
    return found


def form_headers(cookies: SimpleCookie) -> dict[str, str]:
    sent = "; ".join(f"{name}={each.value}" for name, each in cookies.items())
    return {"Cookie": sent, "Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{NAME}"}


def token(page: Reply) -> str:
    found = re.search(r'name="form" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]
