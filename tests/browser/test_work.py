"""What people do: sign in, make a limit, change it, delete it, upload a file; and what happens to them meanwhile."""

import json
import re

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.conftest import ADMIN_KEY as APP_KEY

BUDGET = "budgets[0].max_limit"
WINDOW = "budgets[0].reset_duration"
NAMES = (
    "<img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    "שלום مرحبا",
    "🙂" * 255,
    "x" * 255,
    '"><svg onload=alert(1)>',
    "{{ 7 + 7 }}",
)


def field(window, name):
    return window.page.locator(f'[name="{name}"]')


def limits(service):
    return service.call("GET", "/api/governance/model-configs").body["model_configs"]


def eventually(window, text):
    window.page.get_by_text(text).first.wait_for()


def new_key(service, *scopes):
    body = {"name": "of a test", "scopes": list(scopes)}
    return service.call("POST", "/api/api-keys", body).body["api_key"]


def test_first_limit_is_made_without_reading_anything(empty, window):
    seen = window(empty)
    seen.page.goto(seen.origin)
    seen.page.get_by_label("API key").fill(empty.key)
    seen.press("Sign in")
    seen.follow("Make the first limit")
    field(seen, "model_name").fill("gpt-4o")
    field(seen, BUDGET).fill("20")
    field(seen, WINDOW).fill("1d")
    seen.press("Show what will happen")
    assert "New: $20.00 in 1d" in seen.text()
    assert limits(empty) == []
    seen.press("Create it")
    assert seen.heading.startswith("gpt-4o")
    assert limits(empty)[0]["budgets"][0]["max_limit"] == 20


def test_create_change_delete(empty, window):
    seen = window(empty).sign_in()
    seen.open("new-limit")
    field(seen, "model_name").fill("gpt-4o")
    field(seen, BUDGET).fill("20.5")
    field(seen, WINDOW).fill("1d")
    seen.press("Show what will happen")
    seen.press("Create it")
    empty.call("POST", "/api/governance/usage", {"model": "gpt-4o", "cost": 12.25})
    seen.follow("Change")
    assert field(seen, BUDGET).input_value() == "20.5"
    field(seen, BUDGET).fill("10")
    seen.press("Show what will happen")
    assert "Changed: $10.00 in 1d, before $20.50. This window goes on with $12.25 used." in seen.text()
    assert "Nothing is left" in seen.text()
    seen.press("Change it")
    eventually(seen, "The limit was changed.")
    assert limits(empty)[0]["budgets"][0]["max_limit"] == 10
    seen.follow("Delete")
    assert "The usage of its windows is deleted" in seen.text()
    seen.press("Delete it")
    eventually(seen, "The limit was deleted.")
    assert limits(empty) == []


def test_faults_stand_at_their_fields_and_typing_is_kept(empty, window):
    seen = window(empty).sign_in()
    seen.open("new-limit")
    field(seen, "model_name").fill("gpt-4o")
    field(seen, BUDGET).fill("plenty")
    field(seen, WINDOW).fill("1 day")
    seen.press("Show what will happen")
    for name, sentence in ((BUDGET, "Give max_limit as a number."), (WINDOW, "Give reset_duration differently")):
        box = field(seen, name)
        assert box.get_attribute("aria-invalid") == "true"
        told = box.get_attribute("aria-describedby").split()[0]
        assert sentence in seen.page.locator(f'[id="{told}"]').inner_text()
    assert field(seen, BUDGET).input_value() == "plenty"
    assert field(seen, WINDOW).input_value() == "1 day"
    seen.faults = [fault for fault in seen.faults if "400" not in fault]


def test_edit_of_a_changed_limit_shows_both(empty, window):
    limit_id = empty.create("gpt-4o", budgets=[{"max_limit": 20, "reset_duration": "1d"}])
    first, second = window(empty).sign_in(), window(empty).sign_in()
    for each in (first, second):
        each.open(f"change-limit?id={limit_id}")
    for each, amount in ((first, "30"), (second, "40")):
        field(each, BUDGET).fill(amount)
        each.press("Show what will happen")
        if each is first:
            each.press("Change it")
            eventually(each, "The limit was changed.")
    assert "Somebody else has changed this" in second.text()
    row = second.page.get_by_role("row", name=BUDGET).inner_text().split()
    assert row == [BUDGET, "30", "40"]
    assert limits(empty)[0]["budgets"][0]["max_limit"] == 30
    assert field(second, BUDGET).input_value() == "40"
    second.press("Show what will happen")
    second.press("Change it")
    eventually(second, "The limit was changed.")
    assert limits(empty)[0]["budgets"][0]["max_limit"] == 40
    second.faults = [fault for fault in second.faults if "409" not in fault]


def test_filters_are_bookmarks_and_go_back(filled, window):
    seen = window(filled).sign_in()
    seen.open("limits")
    seen.page.get_by_label("Model", exact=True).fill("opus")
    seen.press("Show")
    address = seen.page.url
    assert "search=opus" in address
    assert seen.page.locator("tbody tr").count() == 1
    seen.page.get_by_role("link", name="claude-opus-4-1").click()
    assert seen.heading.startswith("claude-opus-4-1")
    seen.page.go_back()
    assert seen.page.url == address
    assert seen.page.get_by_label("Model", exact=True).input_value() == "opus"
    seen.page.go_back()
    assert seen.page.locator("tbody tr").count() == 8
    seen.page.go_forward()
    assert seen.page.locator("tbody tr").count() == 1
    seen.page.goto(address)
    assert seen.page.locator("tbody tr").count() == 1


def test_bookmark_survives_sign_in(filled, window):
    seen = window(filled)
    seen.open("limits?search=opus")
    seen.page.get_by_label("API key").fill(filled.key)
    seen.press("Sign in")
    assert seen.page.url.endswith("/ui/limits?search=opus")


def test_wrong_key_is_told(filled, window):
    seen = window(filled)
    seen.open("sign-in")
    seen.page.get_by_label("API key").fill("gov-wrong")
    seen.press("Sign in")
    assert "Give an API key that exists" in seen.text()
    seen.faults = [fault for fault in seen.faults if "401" not in fault]


def test_figures_refresh_without_moving_anything(empty, window):
    for name in ("a", "b", "c"):
        empty.create(name, budgets=[{"max_limit": 20, "reset_duration": "1d"}])
    seen = window(empty).sign_in()
    seen.open("limits")
    box = seen.page.get_by_label("Provider", exact=True)
    box.fill("half typed")
    order = seen.page.locator("tbody th").all_inner_texts()
    empty.call("POST", "/api/governance/usage", {"model": "b", "cost": 12.5})
    empty.create("d")
    eventually(seen, "$12.50")
    assert seen.page.locator("tbody th").all_inner_texts() == order
    assert box.input_value() == "half typed"
    assert box.evaluate("(node) => node === document.activeElement")


def test_lost_connection_is_told_and_mended(empty, window):
    seen = window(empty).sign_in()
    seen.open("limits")
    seen.context.set_offline(True)
    eventually(seen, "The connection is lost.")
    seen.context.set_offline(False)
    seen.page.locator("#connection").wait_for(state="hidden")
    assert seen.faults
    seen.faults = []  # the browser logs each request that failed


def test_session_of_a_revoked_key_ends_within_a_poll(empty, window):
    key = new_key(empty, "read")
    seen = window(empty).sign_in(key["key"])
    seen.open("limits")
    assert seen.page.get_by_role("link", name="New limit").count() == 0
    empty.call("DELETE", f"/api/api-keys/{key['id']}")
    eventually(seen, "The session has ended.")
    seen.page.locator("#connection").get_by_role("link", name="Sign in").click()
    assert seen.heading == "Sign in"
    seen.faults = [fault for fault in seen.faults if "401" not in fault]


def test_form_of_an_ended_session_changes_nothing(empty, window):
    key = new_key(empty, "write")
    seen = window(empty).sign_in(key["key"])
    seen.open("new-limit")
    field(seen, "model_name").fill("gpt-4o")
    empty.call("DELETE", f"/api/api-keys/{key['id']}")
    seen.press("Show what will happen")
    assert "Nothing was changed." in seen.text()
    assert limits(empty) == []
    seen.faults = [fault for fault in seen.faults if "401" not in fault]


def test_upload_plan_apply(empty, window):
    seen = window(empty).sign_in()
    seen.open("upload")
    file = {"model_configs": [{"model_name": "gpt-4o", "budget": {"max_limit": 20, "reset_duration": "1d"}}]}
    content = json.dumps(file).encode()
    seen.page.get_by_label("File", exact=True).set_input_files(
        {"name": "limits.json", "mimeType": "application/json", "buffer": content}
    )
    seen.press("Show the plan")
    assert "1 to create" in seen.text()
    assert limits(empty) == []
    seen.press("Apply this plan")
    eventually(seen, "The file was applied as planned.")
    assert [each["model_name"] for each in limits(empty)] == ["gpt-4o"]


def test_keys_of_both_kinds_are_shown_once(empty, window):
    seen = window(empty).sign_in()
    seen.open("new-virtual-key")
    field(seen, "name").fill("Search team")
    seen.press("Create it")
    assert re.search(r"sk-gov-\S{40,}", seen.text())
    seen.open("new-api-key")
    field(seen, "name").fill("gateway")
    seen.page.get_by_label("meter:").check()
    seen.press("Create it")
    secret = re.search(r"gov-\S{40,}", seen.text())[0]
    assert empty.call("GET", "/api/governance/reservations", key=secret).status == 200
    seen.open("api-keys")
    assert secret not in seen.page.content()
    seen.page.get_by_role("link", name="Revoke gateway").click()
    seen.press("Revoke it")
    eventually(seen, "The API key was revoked.")
    assert empty.call("GET", "/api/governance/reservations", key=secret).status == 401


def test_price_is_set_and_looked_up(empty, window):
    seen = window(empty).sign_in()
    seen.open("prices?for_model=our-model")
    seen.follow("Set its price")
    assert field(seen, "model").input_value() == "our-model"
    field(seen, "input").fill("2.5")
    field(seen, "output").fill("10")
    seen.press("Create it")
    eventually(seen, "The price was created.")
    seen.open("prices?for_model=our-model&for_input_tokens=1000&for_output_tokens=100")
    assert "These tokens cost $0.0035." in seen.text()


def test_curl_of_a_form_is_copied(empty, window):
    seen = window(empty, permissions=["clipboard-read", "clipboard-write"]).sign_in()
    seen.open("new-limit?model_name=gpt-4o")
    seen.page.get_by_text("The same with curl").click()
    seen.press("Copy")
    copied = seen.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith('curl -s -H "Authorization: Bearer $KEY" $URL/api/governance/model-configs -d ')
    assert '{"model_name":"gpt-4o"}' in copied


@pytest.mark.parametrize("name", NAMES)
def test_hostile_name_is_text_and_fits(empty, window, name):
    limit_id = empty.create(name, budgets=[{"max_limit": 20, "reset_duration": "1d"}])
    seen = window(empty, viewport={"width": 360, "height": 740}).sign_in()
    for page in ("", "limits", f"limit?id={limit_id}", f"change-limit?id={limit_id}", f"delete-limit?id={limit_id}"):
        seen.open(page)
        assert name in seen.page.locator("main").text_content()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert seen.page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("is_stripped", [False, True])
def test_pages_work_behind_a_path_prefix(app, serve, window, is_stripped):
    nowhere = app.response_class("nowhere", 404)
    mounted = DispatcherMiddleware(nowhere, {"/gov": app})

    def stripping(environ, start_response):
        """Like a proxy that takes the prefix away and says nothing of it."""
        found = environ["PATH_INFO"].removeprefix("/gov")
        return app(environ | {"PATH_INFO": found, "SCRIPT_NAME": ""}, start_response)

    origin = serve(stripping if is_stripped else mounted)
    seen = window(f"{origin}/gov").sign_in(APP_KEY)
    assert seen.page.url == f"{origin}/gov/ui"
    for name in ("Limits", "Virtual keys", "Overview", "Health"):
        seen.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        assert seen.heading == name
    (session,) = [each for each in seen.context.cookies() if each["name"] == "governance_session"]
    assert session["path"] == "/gov/ui"
    seen.press("Sign out")
    assert seen.page.url == f"{origin}/gov/ui/sign-in"


def test_everything_works_without_script(empty, window):
    seen = window(empty, java_script_enabled=False).sign_in()
    seen.open("new-limit")
    field(seen, "model_name").fill("gpt-4o")
    field(seen, BUDGET).fill("20")
    field(seen, WINDOW).fill("1d")
    seen.press("Another row")
    field(seen, "budgets[1].max_limit").fill("300")
    field(seen, "budgets[1].reset_duration").fill("1M")
    seen.press("Show what will happen")
    seen.press("Create it")
    assert [each["max_limit"] for each in limits(empty)[0]["budgets"]] == [20, 300]


def test_database_lost_is_told_and_mends_itself(empty, window):
    seen = window(empty).sign_in()
    moved = empty.database.with_suffix(".moved")
    empty.database.rename(moved)
    assert seen.open("limits").status == 503
    assert "database" in seen.text()
    moved.rename(empty.database)
    seen.page.get_by_role("heading", name="Limits", exact=True).wait_for()
    seen.faults = [fault for fault in seen.faults if "503" not in fault]
