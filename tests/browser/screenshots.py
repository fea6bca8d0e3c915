"""Takes the pictures of docs/dashboard.md, in both themes: `make screenshots`."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time_ns
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, Window, executable, started
from tests.browser.sample import fill

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

HEIGHTS = {"overview": 1060, "change": 1070}
"""The heights of pictures that show more than the first screen."""


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
            window.page.set_viewport_size(SIZE | {"height": HEIGHTS.get(name, SIZE["height"])})
            show(window)
            window.page.evaluate("scrollTo(0, 0)")
            window.page.wait_for_timeout(300)
            window.page.screenshot(path=FOLDER / f"dashboard-{name}-{theme}.png")
        context.close()


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        fill(Path(folder) / "instance", time_ns() // 1000)
        with started(Path(folder)) as service:
            body = {"name": "Team lead", "scopes": ["admin"]}
            key = service.call("POST", "/api/api-keys", body).body["api_key"]["key"]
            chromium = playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
            take(chromium, f"http://127.0.0.1:{service.port}", key)
            chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
