"""The dashboard behind a path prefix of a real nginx, which has the configuration of docs/reverse-proxy.md."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.browser.conftest import Window, started
from tests.process.service import DEADLINE, ROOT, Service, free_port, until

PREFIX = "/limits"
BUDGET = "budgets[0].max_limit"
CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    upstream limits {{ server 127.0.0.1:{service}; }}
    server {{
        listen 127.0.0.1:{port};
{location}
    }}
}}
"""


def location() -> str:
    """Return the block of the page that is for a path prefix."""
    _, behind_a_prefix = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/reverse-proxy.md").read_text(), re.DOTALL)
    return str(behind_a_prefix)


@contextmanager
def nginx(folder: Path, service: Service) -> Iterator[str]:
    """Run nginx in front of a service. Yield its address with the prefix."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(CONFIG.format(folder=folder, service=service.port, port=port, location=location()))
    with (folder / "nginx.txt").open("wb") as log:
        process = subprocess.Popen(["nginx", "-c", file, "-e", "stderr"], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}{PREFIX}"

    def answers() -> bool:
        assert process.poll() is None, (folder / "nginx.txt").read_text()
        with suppress(OSError, HTTPException), urlopen(f"{address}/healthz", timeout=DEADLINE) as answer:
            return bool(answer.status == 200)
        return False

    try:
        until(answers)
        yield address
    finally:
        process.terminate()
        process.wait(DEADLINE)


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[tuple[Service, str]]:
    with started(tmp_path, GOVERNANCE_TRUSTED_PROXIES="127.0.0.1") as service, nginx(tmp_path, service) as address:
        yield service, address


def test_dashboard_works_behind_a_prefix_of_nginx(behind: tuple[Service, str], window: Callable[..., Window]) -> None:
    service, address = behind
    seen = window(address)
    paths: set[str] = set()
    seen.context.on("request", lambda request: paths.add(request.url.removeprefix(address.removesuffix(PREFIX))))
    seen.page.goto(f"{address}/")
    assert seen.page.url == f"{address}/ui/sign-in"
    seen.page.get_by_label("API key").fill(service.key)
    seen.press("Sign in")
    assert seen.page.url == f"{address}/ui"
    seen.follow("Make the first limit")
    seen.page.locator('[name="model_name"]').fill("gpt-4o")
    seen.page.locator(f'[name="{BUDGET}"]').fill("20")
    seen.page.locator('[name="budgets[0].reset_duration"]').fill("1d")
    seen.press("Show what will happen")
    seen.press("Create it")
    seen.page.wait_for_url(f"{address}/ui/limit?*done=created")
    service.call("POST", "/api/governance/usage", {"model": "gpt-4o", "cost": 12.5})
    seen.page.get_by_text("$12.50").first.wait_for()
    for name in ("Virtual keys", "Audit", "Overview", "Limits"):
        seen.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        assert seen.heading == name
    for link in seen.page.locator("a[href]").evaluate_all("(links) => links.map((link) => link.href)"):
        assert link.startswith(f"{address}/ui"), link
    seen.press("Sign out")
    assert seen.page.url == f"{address}/ui/sign-in"
    assert {path for path in paths if not path.startswith(f"{PREFIX}/ui")} == {f"{PREFIX}/"}
