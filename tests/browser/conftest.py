"""A real Chromium, services with and without data, and windows that watch what a page does."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.sample import ADMIN_KEY, fill
from tests.process.service import Service

HERE = Path(__file__).parent
AXE = HERE / ".work/axe.min.js"
POLL = "0.5"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT = 10_000
"""Milliseconds in which an expected thing must come."""
SESSIONS: dict[tuple[str, str], Any] = {}
"""The cookies of windows that have signed in, by service and key."""
WATCH = "addEventListener('securitypolicyviolation', (event) => console.error('CSP: ' + event.violatedDirective))"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("browser")


def executable() -> str:
    """The browser of this machine. Its absence is a failure, not a reason to skip."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "Install chromium (apt-get install chromium), or set CHROMIUM to the path of one."
    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only the environment of make browser has it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def started(folder: Path, **environ: str) -> Iterator[Service]:
    """Yield a service. It ends with the block, also if it does not start."""
    service = Service(folder, GOVERNANCE_ADMIN_KEY=ADMIN_KEY, GOVERNANCE_POLL_INTERVAL=POLL, **environ)
    service.kept_key = ADMIN_KEY
    try:
        yield service.start()
    finally:
        service.end()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service after a month of use. Tests only read it."""
    folder = tmp_path_factory.mktemp("filled")
    fill(folder / "instance", time_ns() // 1000)
    with started(folder) as service:
        yield service


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Service]:
    """A service after its first start."""
    with started(tmp_path) as service:
        yield service


class Window:
    """A window of a browser on one service. `faults` has what the page did that it must not do."""

    def __init__(self, context: Any, origin: str) -> None:
        self.context = context
        self.origin = origin
        self.faults: list[str] = []
        context.set_default_timeout(TIMEOUT)
        context.add_init_script(WATCH)
        context.on("request", self._watch_request)
        self.page = context.new_page()
        self.page.on("console", self._watch_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))

    def open(self, page: str = "") -> Any:
        """Go to a page of the dashboard."""
        return self.page.goto(f"{self.origin}/ui/{page}" if page else f"{self.origin}/ui")

    def sign_in(self, key: str = ADMIN_KEY) -> "Window":
        """Sign in; a second window on the same service takes the cookies of the first: ten sign-ins a minute count."""
        known = SESSIONS.get((self.origin, key))
        if known:
            self.context.add_cookies(known)
            return self
        self.open("sign-in")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "sign-in" not in url)
        SESSIONS[self.origin, key] = self.context.cookies()
        return self

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()

    @property
    def heading(self) -> str:
        return self.page.locator("h1").first.inner_text()

    def text(self) -> str:
        return self.page.locator("main").inner_text()

    def _watch_request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https"} and f"{parts.scheme}://{parts.netloc}" != origin_of(self.origin):
            self.faults.append(f"request to {request.url}")

    def _watch_console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"console: {message.text}")


def origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@pytest.fixture
def window(chromium: Any) -> Iterator[Callable[..., Window]]:
    """Open windows, each with cookies of its own. At the end, none of them may have a fault."""
    opened: list[Window] = []

    def make(service: Service | str, **options: Any) -> Window:
        origin = service if isinstance(service, str) else f"http://127.0.0.1:{service.port}"
        opened.append(Window(chromium.new_context(**options), origin))
        return opened[-1]

    yield make
    faults = [fault for each in opened for fault in each.faults]
    for each in opened:
        each.context.close()
    assert faults == []
