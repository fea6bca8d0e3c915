"""Every page: accessible in both themes, on a small screen, by keyboard, without script, in the viewer's time zone."""

import json
import re

import pytest

from tests.browser.conftest import AXE
from tests.browser.sample import KEYS

LIMIT = "{limit}"
PAGES = (
    "",
    "limits",
    "limits?search=gpt&sort_by=usage",
    f"limit?id={LIMIT}",
    f"change-limit?id={LIMIT}",
    f"delete-limit?id={LIMIT}",
    "new-limit",
    f"what-if?id={LIMIT}&days=7",
    "upload",
    "virtual-keys",
    f"virtual-key?id={KEYS[0][0]}",
    "new-virtual-key",
    f"change-virtual-key?id={KEYS[0][0]}",
    f"delete-virtual-key?id={KEYS[0][0]}",
    "users",
    "new-user",
    "prices",
    "prices?for_model=gpt-4o&for_provider=openai&for_input_tokens=1000&for_output_tokens=10",
    "new-price",
    "reservations",
    "reservations?status=open",
    "audit",
    "api-keys",
    "new-api-key",
    "health",
)
PHONE = {"width": 360, "height": 740}
RUN_AXE = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]);
}"""


def named(page, service):
    (limit,) = service.call("GET", "/api/governance/model-configs?search=opus").body["model_configs"]
    return page.replace(LIMIT, limit["id"])


def violations(window):
    window.page.evaluate(AXE.read_text())
    return json.dumps(window.page.evaluate(RUN_AXE), indent=1)


@pytest.mark.parametrize("page", [*PAGES, "nowhere"])
def test_page_is_accessible_in_both_themes(filled, window, page):
    seen = window(filled, reduced_motion="reduce").sign_in()  # a colour that is changing has no contrast yet
    answer = seen.open(named(page, filled))
    assert answer.status == (404 if page == "nowhere" else 200)
    for theme in ("light", "dark"):
        seen.page.emulate_media(color_scheme=theme)
        assert violations(seen) == "[]", theme
    seen.faults = [fault for fault in seen.faults if "404" not in fault]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sign_in_is_accessible(filled, window, theme):
    seen = window(filled, color_scheme=theme)
    seen.open("sign-in")
    assert violations(seen) == "[]"


@pytest.mark.parametrize("page", PAGES)
def test_page_fits_a_small_screen(filled, window, page):
    seen = window(filled, viewport=PHONE).sign_in()
    seen.open(named(page, filled))
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("page", PAGES)
def test_page_is_the_same_without_script(filled, window, page):
    plain = window(filled, java_script_enabled=False).sign_in()
    plain.open(named(page, filled))
    assert plain.page.locator("h1").count() >= 1
    assert "undefined" not in plain.page.locator("main").text_content()
    if page == "":
        assert plain.page.locator("svg.series rect").count() > 20
        assert plain.page.locator("tbody time").first.text_content().endswith(" UTC")


def test_page_is_at_most_150_kb(filled, window):
    seen = window(filled).sign_in()
    for page in PAGES:
        assert len(seen.open(named(page, filled)).body()) <= 150_000, page


def test_times_are_those_of_the_viewer(filled, window):
    seen = window(filled, timezone_id="Asia/Kolkata", locale="en-GB").sign_in()
    seen.open("audit")
    time = seen.page.locator("time").first
    utc = time.get_attribute("datetime")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d UTC \(shown in Asia/(Kolkata|Calcutta)\)", time.get_attribute("title")
    )
    minutes = int(utc[11:13]) * 60 + int(utc[14:16]) + 330
    assert time.inner_text().endswith(f"{minutes // 60 % 24:02}:{minutes % 60:02}")


def test_charts_are_drawn_from_their_tables(filled, window):
    seen = window(filled).sign_in()
    seen.open()
    assert seen.page.locator("figure.chart canvas").count() == 2
    assert seen.page.locator("figure.chart").first.locator("details tbody tr").count() == 30


def test_focus_is_visible_and_skip_link_leads_to_content(filled, window):
    seen = window(filled).sign_in()
    seen.open("limits")
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(12):
        assert seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        seen.page.keyboard.press("Tab")


def test_overview_prints_without_navigation(filled, window):
    seen = window(filled).sign_in()
    seen.open()
    seen.page.emulate_media(media="print")
    assert not seen.page.get_by_role("navigation", name="Pages").is_visible()
    assert not seen.page.get_by_role("button", name="Sign out").is_visible()
    assert seen.page.get_by_role("heading", name="Overview").is_visible()


def test_no_motion_is_asked_for(filled, window):
    seen = window(filled, reduced_motion="reduce").sign_in()
    seen.open()
    assert seen.page.locator("nav a").first.evaluate("(node) => getComputedStyle(node).transitionDuration") == "0s"
