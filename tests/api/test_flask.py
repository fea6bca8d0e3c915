"""The app works as Flask's documentation says: any host, no cookie without need, every hook for later extensions."""

import pytest
from flask import Blueprint, after_this_request, g, session, url_for
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import Map
from werkzeug.test import Client

HOSTS = [
    "127.0.0.1",
    "limits.internal:8080",
    "[::1]:8080",
    "münchen.example",
    "a" * 300,
    "",
    "no host at all",
    "a..b",
    ".a",
    "a.",
    "x" * 64 + ":80",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_request_may_be_sent_to_any_host(api, host):
    assert api.get("model-configs", headers={"Host": host}).status_code == 200


def test_no_answer_sets_a_cookie_and_none_is_read(api):
    answers = [api.get("model-configs"), api.get("nowhere"), api.client.get("/docs")]
    assert not [answer.headers["Set-Cookie"] for answer in answers if "Set-Cookie" in answer.headers]
    assert api.get("model-configs", headers={"Cookie": "session=e30.forged"}).status_code == 200


def test_a_head_says_how_long_the_body_would_be_and_has_none(api):
    whole, head = api.get("model-configs"), api.request("HEAD", "model-configs")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole.data))


def test_an_answer_that_is_known_already_has_neither_body_nor_length(api):
    etag = api.get("model-configs").headers["ETag"]
    answer = api.get("model-configs", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")
    assert "Content-Length" not in answer.headers
    assert "Content-Type" not in answer.headers


@pytest.fixture
def routes():
    """Return a map of this test alone, because its app gets more rules."""
    return Map()


@pytest.fixture
def page():
    """Return a blueprint with a view, `/page`, which a user of the project could add to the app."""
    blueprint = Blueprint("page", __name__)

    @blueprint.get("/page")
    def show():
        after_this_request(lambda response: noted(response, "this"))
        return "page " + g.get("seen", "")

    return blueprint


def noted(response, what):
    response.headers.add("X-Order", what)
    return response


def test_what_a_hook_of_the_app_answers_is_the_answer(app, api):
    app.before_request(lambda: app.response_class(b"closed", 503))
    assert api.get("model-configs").data == b"closed"


def test_a_blueprint_s_hooks_run_for_its_views_and_for_no_others(app, api, page):
    ended = []
    page.before_request(lambda: setattr(g, "seen", "seen"))
    page.after_request(lambda response: noted(response, "blueprint"))
    page.teardown_request(lambda error: ended.append("blueprint"))
    app.after_request(lambda response: noted(response, "app"))
    app.teardown_request(lambda error: ended.append("app"))
    app.teardown_appcontext(lambda error: ended.append("context"))
    app.register_blueprint(page)
    answer = api.client.get("/page")
    assert answer.text == "page seen"
    assert answer.headers.getlist("X-Order") == ["this", "blueprint", "app"]
    assert answer.headers["X-Request-Id"]
    assert ended == ["blueprint", "app", "context"]
    assert api.client.get("/healthz").headers.getlist("X-Order") == ["app"]
    assert ended == ["blueprint", "app", "context", "app", "context"]


def test_a_blueprint_s_url_hooks_run(app, api):
    blueprint = Blueprint("tenant", __name__, url_prefix="/<tenant>")
    blueprint.url_value_preprocessor(lambda _, values: setattr(g, "tenant", values.pop("tenant")))
    blueprint.url_defaults(lambda _, values: values.setdefault("tenant", g.tenant))
    blueprint.get("/me", endpoint="me")(lambda: url_for(".me"))
    app.register_blueprint(blueprint)
    assert api.client.get("/acme/me").text == "/acme/me"


def test_an_error_of_a_blueprint_s_hook_is_told_in_the_one_shape(app, api, page):
    def fail():
        raise RuntimeError

    page.before_request(fail)
    app.register_blueprint(page)
    answer = api.client.get("/page")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (500, "internal_error")


def test_a_session_goes_on_with_a_secret_key(app, api):
    app.secret_key = "of-the-tests"
    blueprint = Blueprint("counting", __name__)

    @blueprint.get("/count")
    def count():
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    app.register_blueprint(blueprint)
    assert [api.client.get("/count").text for _ in range(3)] == ["1", "2", "3"]
    assert "Set-Cookie" not in api.get("model-configs?from_memory=true").headers


def test_a_hook_s_cookie_is_never_given_to_the_next_caller(app, api):
    def greet(response):
        response.set_cookie("greeted", "yes")
        return response

    app.after_request(greet)
    answers = [api.get("model-configs?from_memory=true") for _ in range(4)]
    assert all("Set-Cookie" in answer.headers for answer in answers)


def test_the_service_works_under_a_path_prefix(app, api):
    @app.get("/where")
    def where():
        return url_for("model_configs.list_model_configs")

    nowhere = app.response_class("nowhere", 404)
    client = Client(DispatcherMiddleware(nowhere, {"/limits": app}))
    key = {"Authorization": f"Bearer {api.key}"}
    for name in "ab":
        api.create(name)
    page = "/api/governance/model-configs?from_memory=true&limit=1"
    for _ in range(3):
        answer = client.get("/limits" + page, headers=key)
        assert (answer.status_code, answer.data) == (200, api.get(page).data)
        assert answer.headers["Link"].startswith("<?")
    assert client.get("/limits" + page).status_code == 401
    assert client.get("/limits/where").text == "/limits/api/governance/model-configs"
    assert client.get("/limits/docs").status_code == 200
    assert client.get(page, headers=key).data == b"nowhere"
