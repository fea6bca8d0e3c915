"""Takes the pictures of docs/dashboard.md, in both themes: `make screenshots`."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time_ns
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, Window, executable, started
from tests.browser.sample import ADMIN_KEY, fill

FOLDER = Path(__file__).resolve().parents[2] / "docs/images"
SIZE = {"width": 1280, "height": 860}


def overview(window: Window) -> None:
    window.open()


def limits(window: Window) -> None:
    window.open("limits?sort_by=usage")


def limit(window: Window) -> None:
    limits(window)
    window.page.get_by_role("link", name="claude-opus-4-1").click()


def change(window: Window) -> None:
    limit(window)
    window.follow("Change")
    window.page.locator('[name="budgets[0].max_limit"]').fill("60")
    window.page.locator('[name="budgets[1].max_limit"]').fill("900")
    window.page.locator('[name="budgets[1].reset_duration"]').fill("1M")
    window.press("Show what will happen")
    window.page.locator("#effects").scroll_into_view_if_needed()


def prices(window: Window) -> None:
    window.open(
        "prices?search=claude-opus&for_model=gpt-4o&for_provider=openai&for_input_tokens=1000&for_output_tokens=500"
    )


PICTURES: dict[str, Callable[[Window], None]] = {
    "overview": overview,
    "limits": limits,
    "limit": limit,
    "change": change,
    "prices": prices,
}


def take(chromium: Any, origin: str, key: str) -> None:
    """Take every picture in both themes."""
    cookies: Any = None
    for theme in ("light", "dark"):
        context = chromium.new_context(color_scheme=theme, viewport=SIZE, locale="en-GB", timezone_id="Europe/Berlin")
        window = Window(context, origin)
        if cookies:
            context.add_cookies(cookies)
        else:
            cookies = window.sign_in(key).context.cookies()
        for name, show in PICTURES.items():
            show(window)
            window.page.wait_for_timeout(300)
            window.page.screenshot(path=FOLDER / f"dashboard-{name}-{theme}.png")
        context.close()


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        fill(Path(folder) / "instance", time_ns() // 1000)
        service = started(Path(folder))
        service.kept_key = ADMIN_KEY
        body = {"name": "Team lead", "scopes": ["admin"]}
        key = service.call("POST", "/api/api-keys", body).body["api_key"]["key"]
        chromium = playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
        try:
            take(chromium, f"http://127.0.0.1:{service.port}", key)
        finally:
            chromium.close()
            service.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
