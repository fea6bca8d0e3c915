"""Signing in, what a session is good for, and when it ends."""

import re
from dataclasses import replace
from html import unescape

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from app import create_app
from tests.conftest import ADMIN_KEY, governance_of
from tests.web.dashboard.browser import Browser, leads_to, text, tokens

PAGES = ["", "limits", "health"]


def hidden(response, name):
    return unescape(re.search(f'name="{name}" value="([^"]*)"', response.text)[1])


def cookie_of(response, name):
    return next((value for value in response.headers.getlist("Set-Cookie") if value.startswith(f"{name}=")), "")


def test_root_leads_to_dashboard(app, stranger):
    answer = stranger.client.get("/")
    assert leads_to(answer) == "/ui"
    assert leads_to(stranger.get()) == "/ui/sign-in"
    assert leads_to(stranger.client.get("/ui/")) == "/ui"


def test_setting_removes_dashboard(settings, clock):
    app = create_app(replace(settings, ui="off"), clock=clock)
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/", "/ui", "/ui/sign-in", "/ui/static/dashboard.css")] == [
        404
    ] * 4
    governance_of(app).close()


@pytest.mark.parametrize("page", [*PAGES, "limits?search=x&offset=25", "limit?id=a%2Fb"])
def test_sign_in_leads_back_to_page(stranger, page):
    first = stranger.get(page)
    sign_in = leads_to(first).removeprefix("/ui/")
    assert sign_in.startswith("sign-in")
    wanted = page.replace("%2F", "%252F")
    answer = stranger.open(
        "POST", "sign-in", data={"form": tokens(stranger.get(sign_in))[-1], "key": ADMIN_KEY, "next": page}
    )
    assert leads_to(answer) == (f"/ui/{page}" if page else "/ui")
    assert wanted.partition("?")[0] in sign_in or not page


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "../api", "a:b"])
def test_sign_in_leads_nowhere_else(stranger, target):
    assert leads_to(stranger.sign_in(next=target)) == "/ui"


def test_wrong_key_is_told_and_key_is_not_repeated(stranger):
    answer = stranger.sign_in("gov-wrong-key")
    assert answer.status_code == 401
    assert "Give an API key that exists" in text(answer)
    assert "gov-wrong-key" not in answer.text
    assert not cookie_of(answer, "governance_session")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "what was set as GOVERNANCE_ADMIN_KEY ."),
        ({"admin_key_from_file": ADMIN_KEY}, "what was set as GOVERNANCE_ADMIN_KEY_FILE"),
        ({"admin_key": None}, "admin.key beside the database"),
        ({"admin_key": None, "instance": "instance"}, "cat instance/admin.key"),
    ],
)
@pytest.mark.usefixtures("app")
def test_sign_in_says_where_the_admin_key_is(settings, clock, changes, sentence):
    database_url = f"sqlite:///{settings.database_path}"
    made = create_app(replace(settings, database_url=database_url, **changes), clock=clock)
    page = Browser(made).get("sign-in")
    assert sentence in text(page)
    assert settings.instance not in page.text
    governance_of(made).close()


def test_empty_key_is_told(stranger):
    answer = stranger.sign_in(" ")
    assert answer.status_code == 401
    assert "Give an API key." in text(answer)


def test_key_that_may_not_read_is_refused(stranger, api):
    key = api.post("/api/api-keys", {"name": "m", "scopes": ["meter"]}).get_json()["api_key"]["key"]
    answer = stranger.sign_in(key)
    assert answer.status_code == 403
    assert "Use an API key with the scope read" in text(answer)


def test_cookie_on_loopback(stranger):
    cookie = cookie_of(stranger.sign_in(), "governance_session")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Max-Age=43200" in cookie
    assert "Secure" not in cookie
    assert "Path" not in cookie  # so it is that of the page: /ui, behind any prefix
    assert "settings" not in cookie or ADMIN_KEY not in cookie


@pytest.mark.parametrize(
    ("base_url", "environ"),
    [
        ("http://limits.internal/", {}),
        ("http://localhost/", {"REMOTE_ADDR": "10.0.0.7"}),
        ("http://localhost/", {"HTTP_X_FORWARDED_FOR": "10.0.0.7"}),
        ("http://localhost/", {"HTTP_FORWARDED": "for=10.0.0.7"}),
        ("http://localhost.evil.example/", {}),
    ],
)
def test_cookie_is_secure_off_loopback(app, base_url, environ):
    browser = Browser(app, base_url=base_url, **environ)
    assert "Secure" in cookie_of(browser.get("sign-in"), "governance_visitor")


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8080/", "http://localhost:8080/", "http://[::1]:8080/"])
def test_cookie_needs_no_tls_on_loopback(app, base_url):
    cookie = cookie_of(Browser(app, base_url=base_url).get("sign-in"), "governance_visitor")
    assert cookie
    assert "Secure" not in cookie


def test_session_is_not_good_for_api(browser):
    session = browser.client.get_cookie("governance_session", "localhost", "/ui").value
    for path in ("/api/governance/model-configs", "/api/api-keys"):
        assert browser.client.get(path).status_code == 401
        assert browser.client.get(path, headers={"Cookie": f"governance_session={session}"}).status_code == 401
        assert browser.client.get(path, headers={"Authorization": f"Bearer {session}"}).status_code == 401


def test_api_key_alone_opens_no_page(app):
    answer = Browser(app).get("limits", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    assert leads_to(answer).startswith("/ui/sign-in")


FORGERIES = [
    lambda value: value[:-5] + ("AAAAA" if value[-5:] != "AAAAA" else "BBBBB"),
    lambda value: "InNldHRpbmdzIg" + value[value.index(".") :],  # the id of the admin key of the settings
    lambda value: value.partition(".")[0],
    lambda _: "",
]


@pytest.mark.parametrize("change", FORGERIES)
def test_forged_cookie_is_refused(browser, signed_in, change):
    reader = signed_in("read")
    value = reader.client.get_cookie("governance_session", "localhost", "/ui").value
    reader.client.set_cookie("governance_session", change(value), path="/ui")
    assert leads_to(reader.get("limits")).startswith("/ui/sign-in")


def test_session_ends_after_twelve_hours(browser, clock):
    clock.advance(12 * 3600 - 1)
    assert browser.get("limits").status_code == 200
    clock.advance(2)
    assert leads_to(browser.get("limits")) == "/ui/sign-in?next=limits"


def test_session_ends_with_its_key(signed_in, api):
    reader = signed_in("read")
    assert reader.get("limits").status_code == 200
    assert api.delete(f"/api/api-keys/{reader.key_id}").status_code == 200
    assert leads_to(reader.get("limits")).startswith("/ui/sign-in")


def test_session_ends_when_its_key_expires(signed_in, clock):
    reader = signed_in("read", expires_at="2026-11-23T13:00:00Z")
    assert reader.get("limits").status_code == 200
    clock.set("2026-11-23T13:00:00Z")
    assert leads_to(reader.get("limits")).startswith("/ui/sign-in")


def test_session_ends_with_changed_admin_key(app, browser, signed_in, settings, clock):
    reader = signed_in("read")
    session = browser.client.get_cookie("governance_session", "localhost", "/ui").value
    stored = reader.client.get_cookie("governance_session", "localhost", "/ui").value
    other = create_app(replace(settings, admin_key="another-admin-key-of-the-tests-9876543210"), clock=clock)
    for value, status in ((session, 303), (stored, 200)):
        client = Browser(other)
        client.client.set_cookie("governance_session", value, path="/ui")
        assert client.get("limits").status_code == status
    governance_of(other).close()


def test_secret_outlives_restart_and_setting_replaces_it(app, browser, settings, clock):
    session = browser.client.get_cookie("governance_session", "localhost", "/ui").value
    for changed, status in ((settings, 200), (replace(settings, session_secret="s" * 20 + "0123456789abcdef"), 303)):
        again = create_app(changed, clock=clock)
        client = Browser(again)
        client.client.set_cookie("governance_session", session, path="/ui")
        assert client.get("limits").status_code == status
        governance_of(again).close()


def test_sign_out_ends_session(browser):
    answer = browser.post("sign-out", {}, at="limits")
    assert leads_to(answer) == "/ui/sign-in"
    assert leads_to(browser.get("limits")).startswith("/ui/sign-in")


def test_poll_of_ended_session_is_told_without_redirect(stranger):
    answer = stranger.get("limits", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert "WWW-Authenticate" not in answer.headers


def test_ten_attempts_a_minute_and_address(app, clock):
    first, other = Browser(app, REMOTE_ADDR="10.0.0.1"), Browser(app, REMOTE_ADDR="10.0.0.2")
    form = tokens(first.get("sign-in"))[-1]
    statuses = [first.open("POST", "sign-in", data={"form": form, "key": f"gov-{n}"}).status_code for n in range(10)]
    assert set(statuses) <= {401, 409}
    answer = first.sign_in()
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "60"
    assert "Wait 60 seconds" in text(answer)
    assert other.sign_in().status_code == 303
    clock.advance(61)
    assert first.sign_in().status_code == 303


def test_sign_in_works_without_the_database(stranger, app):
    form = stranger.token("sign-in")
    database = governance_of(app).database
    database.close()
    gone = database.path.rename(database.path.with_suffix(".gone"))
    statuses = [stranger.post("sign-in", {"key": key}, form=form).status_code for key in [*["x"] * 9, ADMIN_KEY, "x"]]
    assert statuses == [*[401] * 9, 303, 429]
    answer = stranger.get()
    assert answer.status_code == 503
    assert "database" in text(answer)
    gone.rename(database.path)
    assert stranger.get().status_code == 200


def test_trusted_proxy_names_the_address(settings, clock, app):
    from ipaddress import ip_network  # noqa: PLC0415

    behind = create_app(replace(settings, trusted_proxies=(ip_network("127.0.0.1"),)), clock=clock)
    for address, expected in (("10.0.0.1", 429), ("10.0.0.2", 303)):
        browser = Browser(behind, HTTP_X_FORWARDED_FOR=address, base_url="https://localhost/")
        for _ in range(10 if expected == 429 else 0):
            browser.sign_in("gov-wrong")
        assert browser.sign_in().status_code == expected
    governance_of(behind).close()


def test_pages_are_right_behind_a_prefix(app):
    client = Client(DispatcherMiddleware(app.response_class("nowhere", 404), {"/gov": app}))
    page = client.get("/gov/ui/sign-in")
    assert 'href="static/dashboard.css"' in page.text
    form = tokens(page)[-1]
    answer = client.post(
        "/gov/ui/sign-in", data={"form": form, "key": ADMIN_KEY}, environ_overrides={"REMOTE_ADDR": "127.0.0.1"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "../ui")
    assert client.get("/gov/ui").status_code == 200
    assert 'href="ui/limits"' in client.get("/gov/ui").text
    assert client.get("/gov/").headers["Location"] == "ui"


def test_pages_link_relatively(browser):
    for page in PAGES:
        links = [part.split('"')[0] for part in browser.get(page).text.split('href="')[1:]]
        assert links
        assert not [each for each in links if each.startswith("/") or "://" in each]
