"""What protects pages and forms: headers, tokens, scopes; and how trouble is told."""

import pytest

from tests.conftest import governance_of
from tests.web.dashboard.browser import Browser, leads_to, text, tokens

READ = ["", "limits", "health", "what-if"]
WRITE = ["new-limit"]
FIELDS = {"model_name": "gpt-4o", "budgets[0].max_limit": "20", "budgets[0].reset_duration": "1d", "step": "store"}


@pytest.mark.parametrize("page", [*READ, *WRITE, "sign-in", "nowhere", "limit?id=none", "limits?limit=x"])
def test_every_page_has_the_headers(browser, page):
    headers = browser.get(page).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Request-Id"]


@pytest.mark.parametrize("page", [*READ, *WRITE])
def test_no_page_has_anything_inline(browser, page):
    page = browser.get(page).text
    assert " style=" not in page
    assert "<style" not in page
    assert " on" not in page.replace(" on ", " ").split("<body")[0]
    assert all(part.startswith(' src="') for part in page.split("<script")[1:])


@pytest.mark.parametrize("page", READ)
def test_read_key_sees(signed_in, page):
    assert signed_in("read").get(page).status_code == 200


@pytest.mark.parametrize("page", WRITE)
def test_read_key_is_offered_no_change_and_refused(signed_in, api, page):
    limit = api.create()
    reader = signed_in("read")
    for shown in ("limits", f"limit?id={limit['id']}", ""):
        assert page not in reader.get(shown).text
        assert "change-limit" not in reader.get(shown).text
        assert "delete-limit" not in reader.get(shown).text
    answer = reader.get(page)
    assert answer.status_code == 403
    assert "Use an API key with the scope write" in text(answer)
    for act in (page, f"change-limit?id={limit['id']}", f"delete-limit?id={limit['id']}"):
        assert reader.post(act, FIELDS, at="limits").status_code == 403
    assert api.list()["total_count"] == 1


def test_write_key_changes(signed_in, api):
    writer = signed_in("write")
    answer = writer.post("new-limit", FIELDS)
    (stored,) = api.list()["model_configs"]
    assert leads_to(answer) == f"/ui/limit?id={stored['id']}&done=created"
    (entry,) = [each for each in api.get("audit").get_json()["audit"] if each["entity"] == "model_config"]
    assert entry["actor"] == f"key:{writer.key_id}"


@pytest.mark.parametrize("form", ["", "forged", "WyJhIiwiYiJd.aaaa.bbbb"])
def test_forged_form_changes_nothing(browser, api, form):
    answer = browser.post("new-limit", FIELDS, form=form)
    assert answer.status_code == 403
    assert "Nothing was changed" in text(answer)
    assert api.list()["total_count"] == 0


def test_form_of_another_session_changes_nothing(browser, signed_in, api):
    answer = browser.post("new-limit", FIELDS, form=signed_in("admin").token("new-limit"))
    assert answer.status_code == 403
    assert api.list()["total_count"] == 0


def test_form_without_a_session_changes_nothing(browser, stranger, api):
    answer = stranger.post("new-limit", FIELDS, form=browser.token("new-limit"))
    assert answer.status_code == 401
    assert "Nothing was changed" in text(answer)
    assert api.list()["total_count"] == 0


def test_replayed_form_is_taken_once(browser, api):
    form = browser.token("new-limit")
    assert browser.post("new-limit", FIELDS, form=form).status_code == 303
    answer = browser.post("new-limit", FIELDS | {"model_name": "gpt-5"}, form=form)
    assert answer.status_code == 409
    assert "was sent before" in text(answer)
    assert api.list()["total_count"] == 1


def test_form_older_than_a_session_is_refused(browser, clock, api):
    form = browser.token("new-limit")
    clock.advance(12 * 3600 + 1)
    browser.sign_in()
    assert browser.post("new-limit", FIELDS, form=form).status_code == 403
    assert api.list()["total_count"] == 0


def test_sign_in_form_of_another_browser_is_refused(app, stranger):
    answer = Browser(app).post("sign-in", {"key": "x"}, form=stranger.token("sign-in"))
    assert answer.status_code == 403
    assert "Allow cookies" in text(answer)


def test_unknown_page_is_told(browser, stranger):
    answer = browser.get("nowhere")
    assert answer.status_code == 404
    assert "There is no such page" in text(answer)
    assert leads_to(stranger.get("nowhere")).startswith("/ui/sign-in")


def test_unknown_static_file_is_404(stranger):
    assert stranger.get("static/nothing.css").status_code == 404
    assert stranger.get("static/../blueprint.py").status_code == 404


@pytest.mark.parametrize(
    "name", ["dashboard.css", "dashboard.js", "icon.svg", "vendor/htmx.min.js", "vendor/uPlot.min.css"]
)
def test_static_file_needs_no_session_and_is_revalidated(stranger, name):
    answer = stranger.get(f"static/{name}")
    assert answer.status_code == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = stranger.get(f"static/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_database_unavailable_is_told_with_its_reason(browser, app):
    governance_of(app).database.close()
    path = governance_of(app).database.path
    path.rename(path.with_suffix(".gone"))
    answer = browser.get("limits")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "database" in text(answer)
    assert 'http-equiv="refresh"' in answer.text
    path.with_suffix(".gone").rename(path)
    assert browser.get("limits").status_code == 200


def test_mistake_of_the_service_shows_no_trace(browser, app, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(governance_of(app).model_limits, "page", fail)
    answer = browser.get("limits")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Report this" in text(answer)


def test_hooks_of_pages_run_for_pages_alone(app):
    assert None not in {name for name in app.before_request_funcs if name == "dashboard"}
    answers = app.test_client().get("/healthz").headers
    assert "Content-Security-Policy" not in answers
    assert "Set-Cookie" not in answers


def test_token_is_new_for_every_form(browser):
    found = [*tokens(browser.get("new-limit")), *tokens(browser.get("new-limit"))]
    assert len(set(found)) == len(found) == 4


def test_a_refused_sign_in_is_counted_by_its_code(stranger):
    def counted():
        lines = stranger.client.get("/metrics").text.splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith("governance_authentication_failures_total{")]
        return {name: float(value) for name, _, value in found}

    before = counted()
    assert stranger.sign_in("gov-nobody-has-this-key-0123456789abcdef").status_code == 401
    after = counted()
    assert {name: value - before[name] for name, value in after.items() if value > before[name]} == {
        'governance_authentication_failures_total{code="invalid_api_key"}': 1
    }
